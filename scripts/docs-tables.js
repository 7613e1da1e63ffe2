// Writes the tables of docs/ that come from code: `npm run docs`. A test fails where they are out of date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadModules } from './bundle.js';

/**
 * Modules that the tables are made of.
 * @typedef {[
 *   typeof import('../src/passes/index.ts'),
 *   typeof import('../src/models/index.ts'),
 *   typeof import('../src/lint/index.ts'),
 *   typeof import('../src/errors.ts'),
 *   typeof import('../src/ir/ops/index.ts'),
 *   typeof import('../src/commands/main.ts'),
 *   typeof import('../src/commands/command.ts'),
 * ]} Modules
 */
/** @typedef {{ readonly name: string; readonly summary: string }} Rule */
/** @typedef {{ readonly name: string; readonly summary: string; readonly keeps: string }} Pass */
/** @typedef {{ readonly scale: number; readonly zeroPoint: number }} Steps */
/** @typedef {'calibrated' | { readonly i8: Steps; readonly i16: Steps }} Int8Rule */
/** @typedef {{ readonly flags: string; readonly says: string; readonly choices?: readonly string[]; readonly default?: string | number; readonly isRequired?: boolean }} Flag */
/** @typedef {{ readonly modelType: string; readonly tasks: readonly string[] }} Architecture */
/** @typedef {{ readonly inputs: readonly string[]; readonly attrs: object; readonly tokens: string; readonly stream: string; readonly moves?: object; readonly int8?: Int8Rule }} Op */

const RUNS = { always: 'always', onnx: 'for ONNX', tflite: 'for TFLite', asked: 'when asked for' };

/**
 * The tables by the names that pages call them.
 * @param {{
 *   readonly passes: readonly { readonly pass: Pass; readonly runs: keyof typeof RUNS }[];
 *   readonly architectures: readonly Architecture[];
 *   readonly onnxRules: readonly Rule[];
 *   readonly tfliteRules: readonly Rule[];
 *   readonly errorCodes: { readonly [code: string]: string };
 *   readonly ops: { readonly [name: string]: Op };
 *   readonly commands: readonly { readonly name: string; readonly flags: readonly Flag[] }[];
 *   readonly commonFlags: readonly Flag[];
 * }} code
 * @returns {ReadonlyMap<string, string>}
 */
export function tablesOf({ passes, architectures, onnxRules, tfliteRules, errorCodes, ops, commands, commonFlags }) {
  return new Map([
    ['passes', table(['pass', 'before → after', 'keeps', 'runs'], passes.map(passRow))],
    ['architectures', architecturesTable(architectures)],
    ['onnx-rules', rulesTable(onnxRules)],
    ['tflite-rules', rulesTable(tfliteRules)],
    ['error-codes', table(['code', 'meaning'], Object.entries(errorCodes).map(namedRow))],
    ['ops', table(['op', 'inputs', 'attributes', 'tokens', 'stream', 'int8 output'], Object.entries(ops).map(opRow))],
    ...[...commands, { name: '<command>', flags: commonFlags }]
      .filter(({ flags }) => flags.length > 0)
      .map(
        ({ name, flags }) =>
          /** @type {[string, string]} */ ([`mbert ${name}`, table(['flag', 'meaning'], flags.map(flagRow))]),
      ),
  ]);
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
function table(head, rows) {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

/** @param {readonly Architecture[]} architectures */
function architecturesTable(architectures) {
  const tasks = [...new Set(architectures.flatMap((each) => each.tasks))];
  const rows = architectures.map((each) => [
    `\`${each.modelType}\``,
    ...tasks.map((task) => (each.tasks.includes(task) ? 'yes' : '')),
  ]);
  return table(['`model_type`', ...tasks.map((task) => `\`${task}\``)], rows);
}

/** @param {readonly Rule[]} rules */
function rulesTable(rules) {
  const rows = rules.map(({ name, summary }) => namedRow([name, summary]));
  return table(['rule', 'what must hold, and what happens otherwise'], rows);
}

/** @param {readonly [string, string]} entry */
function namedRow([name, meaning]) {
  return [`\`${name}\``, meaning];
}

/** @param {{ readonly pass: Pass; readonly runs: keyof typeof RUNS }} entry */
function passRow({ pass: { name, summary, keeps }, runs }) {
  return [`\`${name}\``, summary, keeps, RUNS[runs]];
}

/** @param {readonly [string, Op]} entry */
function opRow([name, { inputs, attrs, tokens, stream, moves, int8 }]) {
  const defaults = Object.entries(attrs).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return [
    `\`${name}\``,
    inputs.join(', '),
    defaults.join(', '),
    tokens,
    stream,
    moves ? 'as its input' : int8Text(int8),
  ];
}

/** @param {Flag} flag */
function flagRow({ flags, says, choices, default: value, isRequired }) {
  const more = [
    ...(isRequired ? ['required'] : []),
    ...(choices ? [choices.map((choice) => `\`${choice}\``).join(', ')] : []),
    ...(value === undefined ? [] : [`default \`${value}\``]),
  ];
  return [`\`${flags}\``, more.length > 0 ? `${says} (${more.join('; ')})` : says];
}

/** @param {Int8Rule | undefined} rule */
function int8Text(rule) {
  if (rule === undefined) return 'not quantized';
  if (rule === 'calibrated') return rule;
  return `scale 1/${1 / rule.i8.scale}, zero point ${rule.i8.zeroPoint}`;
}

/**
 * A page with what stands between `<!-- table: name -->` and `<!-- end -->` made anew.
 * @param {string} page
 * @param {ReadonlyMap<string, string>} tables
 */
export function withTables(page, tables) {
  return page.replaceAll(/(<!-- table: (.+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, start, name, end) => {
    const text = tables.get(name);
    if (text === undefined) throw new Error(`there is no table "${name}"`);
    return `${start}${text}\n${end}`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [
    { passes },
    { architectures },
    { onnxRules, tfliteRules },
    { ERROR_CODES },
    { ops },
    { commandsWithFlags },
    { commonFlags },
  ] = /** @type {Modules} */ (
    await loadModules([
      'src/passes/index.ts',
      'src/models/index.ts',
      'src/lint/index.ts',
      'src/errors.ts',
      'src/ir/ops/index.ts',
      'src/commands/main.ts',
      'src/commands/command.ts',
    ])
  );
  const tables = tablesOf({
    passes,
    architectures,
    onnxRules,
    tfliteRules,
    errorCodes: ERROR_CODES,
    ops,
    commands: await commandsWithFlags(),
    commonFlags,
  });
  for (const name of readdirSync('docs')) {
    if (!name.endsWith('.md')) continue;
    const page = readFileSync(`docs/${name}`, 'utf8');
    const current = withTables(page, tables);
    if (current !== page) writeFileSync(`docs/${name}`, current);
  }
}
