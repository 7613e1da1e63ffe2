import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { tablesOf, withTables } from '../../scripts/docs-tables.js';
import { commonFlags } from '../../src/commands/command.ts';
import { commandsWithFlags } from '../../src/commands/main.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { ops } from '../../src/ir/ops/index.ts';
import { onnxRules, tfliteRules } from '../../src/lint/index.ts';
import { architectures } from '../../src/models/index.ts';
import { passes } from '../../src/passes/index.ts';
import { pages } from './pages.ts';

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

test.each(pages)('the tables of %s are what the code says', (name) => {
  const page = readFileSync(name, 'utf8');
  expect(page, 'run npm run docs').toBe(withTables(page, tables));
});

test('every table is on a page', () => {
  const text = pages.map((name) => readFileSync(name, 'utf8')).join('\n');
  const shown = [...text.matchAll(/<!-- table: (.+) -->/g)].map(([, name]) => name);
  expect(shown.sort()).toEqual([...tables.keys()].sort());
});

test('a table takes the place of what stands between its markers', () => {
  const page = 'Before.\n<!-- table: a -->\nold\n<!-- end -->\nBetween.\n<!-- table: b -->\n<!-- end -->\nBehind.\n';
  const made = withTables(page, new Map(Object.entries({ a: '| $& |', b: '| 2 |' })));
  expect(made).toBe(
    'Before.\n<!-- table: a -->\n| $& |\n<!-- end -->\nBetween.\n<!-- table: b -->\n| 2 |\n<!-- end -->\nBehind.\n',
  );
});

test('a page cannot ask for a table that there is not', () => {
  expect(() => withTables('<!-- table: pases -->\n<!-- end -->', tables)).toThrow('there is no table "pases"');
});

test('what a table would break on is escaped, and optional inputs, defaults, choices and scales are told', () => {
  const made = tablesOf({
    passes: [],
    architectures: [
      { modelType: 'bert', tasks: ['qa', 'pretraining'] },
      { modelType: 'gte', tasks: ['qa'] },
    ],
    onnxRules: [{ name: 'ends', summary: 'a | b' }],
    tfliteRules: [],
    errorCodes: {},
    commonFlags: [],
    commands: [
      {
        name: 'convert',
        flags: [
          { flags: '--dtype <dtype>', says: 'how weights are stored', choices: ['f32', 'f16'], default: 'f32' },
          { flags: '-o, --output <path>', says: 'where to', isRequired: true },
        ],
      },
    ],
    ops: {
      softmax: {
        inputs: ['x', 'mask?'],
        attrs: { axis: -1 },
        tokens: 'along-axis',
        stream: 'fixed',
        int8: { i8: { scale: 1 / 256, zeroPoint: -128 }, i16: { scale: 2 ** -15, zeroPoint: 0 } },
      },
    },
  });
  expect(made.get('onnx-rules')).toContain('| `ends` | a \\| b |');
  expect(made.get('architectures')).toContain('| `model_type` | `qa` | `pretraining` |');
  expect(made.get('architectures')).toContain('| `bert` | yes | yes |\n| `gte` | yes |  |');
  expect(made.get('mbert convert')).toContain(
    '| `--dtype <dtype>` | how weights are stored (`f32`, `f16`; default `f32`) |',
  );
  expect(made.get('mbert convert')).toContain('| `-o, --output <path>` | where to (required) |');
  expect(made.get('ops')).toContain(
    '| `softmax` | x, mask? | axis = -1 | along-axis | fixed | scale 1/256, zero point -128 |',
  );
});
