import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/ir/graph.ts';
import { applyRecipe, parseRecipe, recipeText } from '../../src/quantization/recipe.ts';
import type { Settings } from '../../src/quantization/settings.ts';
import { graphOf } from '../core.ts';

const graph = graphOf(`graph g (x: f32[2, 4])
  a.0 = linear(x, w f32[4, 4] #1, b f32[4] #2)
  a.1 = linear(a.0, w1 f32[4, 4] #3)
  sum = add(a.0, a.1)
return y: sum`);
const int8: Settings = { scheme: 'int8', granularity: 'channel', rounding: 'nearest', range: 'minmax' };
const defaults = new Map(
  graph
    .nodes()
    .flatMap((node): [Call, Settings][] => (node.op === 'linear' || node.op === 'add' ? [[node, int8]] : [])),
);
const schemes = (settings: ReadonlyMap<Call, Settings>) =>
  Object.fromEntries([...settings].map(([{ name }, { scheme }]) => [name, scheme]));

describe('a recipe', () => {
  test('the last rule that fits a node wins, and a rule may be for one op', () => {
    const rules = parseRecipe(
      '[{"match": "^a", "scheme": "dynamic"}, {"match": ".", "op": "add", "keep": "float"}, {"match": "a\\\\.1", "scheme": "float"}]',
      'r.json',
    );
    expect(schemes(applyRecipe(defaults, rules, 'r.json'))).toEqual({ 'a.0': 'dynamic', 'a.1': 'float', sum: 'float' });
  });

  test('what is written of settings gives the same settings when read', () => {
    const rules = parseRecipe(
      '[{"match": "a.1", "scheme": "float"}, {"match": "a.0", "range": "mse", "granularity": "tensor"}]',
      'r',
    );
    const settings = applyRecipe(defaults, rules, 'r');
    const text = recipeText(settings);
    expect(applyRecipe(defaults, parseRecipe(text, 'dump'), 'dump')).toEqual(settings);
    expect(text).toMatchInlineSnapshot(`
      "[
        {"match":"^a\\\\.0$","op":"linear","scheme":"int8","granularity":"tensor","rounding":"nearest","range":"mse"},
        {"match":"^a\\\\.1$","op":"linear","scheme":"float"},
        {"match":"^sum$","op":"add","scheme":"int8","range":"minmax"}
      ]
      "
    `);
  });

  test.each([
    ['{}', 'MALFORMED', 'is an object, not a list of rules'],
    ['[1]', 'MALFORMED', 'rule 1: is 1, not an object'],
    ['[{"match": "a"}]', 'MALFORMED', 'rule 1: sets none of keep, scheme, granularity, rounding, range'],
    ['[{"scheme": "float"}]', 'MALFORMED', 'rule 1: has no match, a regular expression on node names'],
    ['[{"match": "(", "scheme": "float"}]', 'MALFORMED', 'rule 1: match is no regular expression'],
    ['[{"match": "a", "op": "linaer", "scheme": "float"}]', 'MALFORMED', 'rule 1: op: "linaer" is unknown'],
    ['[{"match": "a", "scheme": "int9"}]', 'MALFORMED', 'rule 1: scheme: "int9" is unknown'],
    ['[{"match": "a", "shceme": "int8"}]', 'MALFORMED', 'rule 1: "shceme" is unknown'],
    ['[{"match": "nothing", "scheme": "float"}]', 'MISMATCH', 'rule 1: no node matching nothing: there is none'],
    ['[{"match": "x", "op": "add", "scheme": "float"}]', 'MISMATCH', 'rule 1: add matching x: there is none'],
  ])('%s is refused', (text, code, message) => {
    expect(() => applyRecipe(defaults, parseRecipe(text, 'r.json'), 'r.json')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(`r.json: ${message}`) }),
    );
  });
});
