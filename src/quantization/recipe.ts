import { MbertError, nearest } from '../errors.ts';
import { isObject, type JsonValue, jsonText, parseJson } from '../formats/json.ts';
import { LinearExpression } from '../io/regular-expression.ts';
import type { Call } from '../ir/graph.ts';
import { ops } from '../ir/ops/index.ts';
import { NODE_SCHEMES, RANGE_METHODS, ROUNDINGS, type Settings, type SettingsMap, storedPlace } from './settings.ts';
import { GRANULARITIES } from './weights.ts';

/** A rule that changes the settings of the nodes whose name fits; of several rules for one setting the last wins. */
export interface RecipeRule {
  /** A regular expression that fits anywhere in the node's name. */
  readonly match: RegExp;
  readonly op?: string;
  readonly settings: Partial<Settings>;
}

/** The settings that a rule may name, each with its values. `keep: float` says the same as `scheme: float`. */
const VALUES: { readonly [key: string]: readonly string[] } = {
  keep: ['float'],
  scheme: NODE_SCHEMES,
  granularity: GRANULARITIES,
  rounding: ROUNDINGS,
  range: RANGE_METHODS,
};

/**
 * Reads a recipe: a JSON list of rules such as `{ "match": "layer\\.0\\.", "op": "linear", "scheme": "float" }`. Throws
 * MALFORMED for anything but a recipe, including unknown keys, ops and values.
 */
export function parseRecipe(text: string, what: string): RecipeRule[] {
  const json = parseJson(text, what);
  if (!Array.isArray(json)) throw malformed(what, `is ${jsonText(json)}, not a list of rules`);
  return json.map((rule: JsonValue, i) => parseRule(rule, `${what}: rule ${i + 1}`));
}

function parseRule(rule: JsonValue, what: string): RecipeRule {
  if (!isObject(rule)) throw malformed(what, `is ${jsonText(rule)}, not an object`);
  const settings: Record<string, string> = {};
  let op: string | undefined;
  for (const [key, value] of rule) {
    if (typeof value !== 'string') throw malformed(what, `${key} is ${jsonText(value)}, not a text`);
    if (key === 'match') continue;
    if (key === 'op') op = oneOf(value, Object.keys(ops), `${what}: op`);
    else {
      const values = VALUES[oneOf(key, ['match', 'op', ...Object.keys(VALUES)], what)] as readonly string[];
      settings[key === 'keep' ? 'scheme' : key] = oneOf(value, values, `${what}: ${key}`);
    }
  }
  const match = rule.get('match');
  if (typeof match !== 'string') throw malformed(what, 'has no match, a regular expression on node names');
  if (Object.keys(settings).length === 0) throw malformed(what, `sets none of ${Object.keys(VALUES).join(', ')}`);
  return { match: expression(match, what), ...(op !== undefined && { op }), settings: settings as Partial<Settings> };
}

function expression(source: string, what: string): RegExp {
  try {
    return new LinearExpression(source, 'u');
  } catch (cause) {
    throw malformed(what, `match is no regular expression: ${cause instanceof Error ? cause.message : cause}`);
  }
}

function oneOf(value: string, allowed: readonly string[], what: string): string {
  if (allowed.includes(value)) return value;
  const near = nearest(value, allowed);
  const hint = near ? `did you mean ${near}?` : allowed.length > 8 ? undefined : `it is one of ${allowed.join(', ')}`;
  throw new MbertError('MALFORMED', `${what}: "${value}" is unknown`, hint === undefined ? {} : { hint });
}

function malformed(what: string, problem: string): MbertError {
  return new MbertError('MALFORMED', `${what}: ${problem}`, {
    hint: 'a recipe is a list such as [{ "match": "layer\\\\.0\\\\.", "op": "linear", "scheme": "float" }]',
  });
}

/** Applies all rules to the default settings, in their order. Throws MISMATCH for a rule that fits no node. */
export function applyRecipe(defaults: SettingsMap, rules: readonly RecipeRule[], what: string): Map<Call, Settings> {
  const settings = new Map(defaults);
  for (const [i, { match, op, settings: changes }] of rules.entries()) {
    let fits = 0;
    for (const [node, current] of settings) {
      if ((op !== undefined && node.op !== op) || !match.test(node.name)) continue;
      settings.set(node, { ...current, ...changes });
      fits++;
    }
    if (fits > 0) continue;
    const kinds = [...new Set([...defaults.keys()].map((node) => node.op))].sort().join(', ');
    const problem = `rule ${i + 1}: ${op ?? 'no node'} matching ${match.source}: there is none that can be quantized`;
    throw new MbertError('MISMATCH', `${what}: ${problem}`, {
      hint: `this form quantizes ${kinds}; --dump-recipe writes their names`,
    });
  }
  return settings;
}

/** Writes settings as a recipe, a rule for each node: read again, it gives the same settings. */
export function recipeText(settings: SettingsMap): string {
  const rules = [...settings].map(([node, { scheme, granularity, rounding, range }]) => ({
    match: `^${node.name.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`,
    op: node.op,
    scheme,
    ...((storedPlace(node) !== undefined && scheme !== 'float' && { granularity }) || {}),
    ...(node.op === 'linear' && scheme !== 'float' && { rounding }),
    ...((scheme === 'int8' || scheme === 'int16x8') && storedPlace(node) !== 0 && { range }),
  }));
  return `[\n${rules.map((rule) => `  ${JSON.stringify(rule)}`).join(',\n')}\n]\n`;
}
