import { join } from 'node:path';
import { expect, test } from 'vitest';
import { explanationText } from '../../src/reports/explain.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const explain = (...argv: readonly string[]) => runCommand(folder, 'passes', '--explain', ...argv);

/** A graph by torch's exporter, with its LayerNorms taken apart. */
const EXPORTED = join(unpacked('fixtures/onnx-seqcls-ln-ts'), 'model.onnx');

test('tells what of a rule failed at a node', async () => {
  const node = 'mobilebert.encoder.layer.0.attention.output.residual';
  const { code, out, err } = await explain('fuse-linear', '--at', node, 'fixtures/hf-qa');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatchInlineSnapshot(`
    "fuse-linear: relu(x @ W + b)  ->  linear(x, W, b) with activation relu
    looks for (add(linear(x, constant weight) {activation: none} whose result is not stored quantized, constant bias with a number for each output) | relu((linear(x, weight) {activation: none} | linear(x, weight, bias) {activation: none})))

    for onnx, behind fold-constants, shift-distances: 12 rewrites
      mobilebert.encoder.layer.0.attention.output.residual: first input is a linear (mobilebert.encoder.layer.0.attention.output.dense), the pattern has one with 2 inputs, not 3 (2 of 5 parts fit)
    "
  `);
});

test('without a node shows those that came nearest, the best first', async () => {
  const { out } = await explain('raise-layer-norm', EXPORTED);
  const parts = [...out.matchAll(/\((\d+) of 42 parts fit\)/g)].map(([, fitted]) => Number(fitted));
  expect(out).toMatch(/^raising, behind raise-stored-constants, .*, raise-sums: 17 rewrites$/m);
  expect(parts).toHaveLength(10);
  expect(parts).toEqual(parts.toSorted((a, b) => b - a));
  expect(parts.at(-1)).toBeGreaterThan(0);
  expect(out).toMatch(/^ {2}and \d+ more$/m);
});

test('a regular expression asks about several nodes, rewritten ones and those like nothing in the pattern too', async () => {
  const { out } = await explain('fuse-linear', '--at', 'layer\\.0\\.ffn\\.0\\.', '--json', 'fixtures/hf-qa');
  const { runs, parts } = JSON.parse(out);
  const [{ nodes, ...run }] = runs;
  expect(run).toEqual({
    stage: 'onnx',
    behind: ['fold-constants', 'shift-distances'],
    rewrites: 12,
    declined: [],
    others: 1,
  });
  expect(nodes[0]).toEqual({
    name: 'mobilebert.encoder.layer.0.ffn.0.intermediate.relu',
    op: 'relu',
    outcome: 'rewritten',
    fitted: parts,
    reason: '',
  });
  expect(nodes.at(-1)).toMatchObject({ outcome: 'missed', fitted: 0 });
});

test('a node is one that is there when the pass begins', async () => {
  const relu = 'mobilebert.encoder.layer.0.ffn.0.intermediate.relu';
  // fuse-linear has taken it into the linear by then.
  const { code, err } = await explain('share-constants', '--at', relu, 'fixtures/hf-qa');
  expect(code).toBe(2);
  expect(err).toBe(
    `--at: no node is called "${relu}" where the pass begins\nhint: did you mean mobilebert.encoder.layer.0.ffn.0.intermediate.dense?\n`,
  );
});

test('a pass that runs in both stages is explained in both, and one that runs twice twice', async () => {
  const stagesOf = async (pass: string) =>
    JSON.parse((await explain(pass, '--json', EXPORTED)).out).runs.map(
      ({ stage, behind }: { stage: string; behind: string[] }) => `${stage} ${behind.length}`,
    );
  expect(await stagesOf('fold-constants')).toEqual(['raising 2', 'onnx 0']);
  expect(await stagesOf('raise-scale')).toEqual(['raising 7', 'raising 23']);
  expect(await stagesOf('trigram-to-convolution')).toEqual(['tflite 9']);
});

test('a pass that is no rule tells what it declined, or that it keeps no record', async () => {
  const source = 'fixtures/bert-seqcls';
  const declining = await explain('equalize-streams', source);
  expect(declining.out).toContain(
    '\n  bert.encoder.layer.0.attention.output.residual and 3 more: layerNorm writes it\n',
  );
  const at = await explain('equalize-streams', '--at', 'layer.0.attention.output.residual', source);
  expect(at.out).toContain('\n  bert.encoder.layer.0.attention.output.residual and 3 more: layerNorm writes it\n');
  const silent = await explain('equalize-streams', '--at', 'layer.1.intermediate.dense', source);
  expect(silent.out).toContain('\n  it is no pattern rule, and keeps no record of nodes that it leaves alone\n');
});

test('numbers and shapes are told where they are what differs', async () => {
  const { out } = await explain('raise-no-norm', '--at', 'attention/self/Add_output_0', EXPORTED);
  expect(out).toMatch(
    /Add_output_0: second input of .*Div_output_0 is the number 0\.5 \(.*\), the pattern has one with a number for each channel \(4 of 5 parts fit\)/,
  );
});

test('what fits and stays all the same is told with the reason', () => {
  const attempt = { name: 'sum', op: 'add', outcome: 'declined', fitted: 5, reason: 'l has other readers' } as const;
  const run = { stage: 'onnx', behind: [], rewrites: 1, declined: [], nodes: [attempt], others: 0 } as const;
  const text = explanationText({ pass: 'fuse', summary: 'a  ->  b', pattern: 'add(x, y)', parts: 5, runs: [run] });
  expect(text.split('\n').slice(1)).toEqual([
    'looks for add(x, y)',
    '',
    'for onnx, first of all: 1 rewrite',
    '  sum: fits, but l has other readers',
  ]);
});

test.each([
  [
    'an unknown pass',
    ['fuse-lineer', 'fixtures/hf-qa'],
    '--explain: there is no pass "fuse-lineer"\nhint: did you mean fuse-linear?\n',
  ],
  ['no model', ['fuse-linear'], '--explain: needs a model\nhint: name one behind the flags\n'],
  ['a pass that is fitted', ['gelu-to-relu', 'fixtures/hf-qa'], /^--explain: gelu-to-relu is fitted to text/],
  [
    'a raising pass and a checkpoint',
    ['raise-gelu', 'fixtures/hf-qa'],
    /^--explain: raise-gelu finds ops in graphs, fixtures\/hf-qa is a checkpoint\n/,
  ],
  [
    'an expression that is none',
    ['fuse-linear', '--at', '(', 'fixtures/hf-qa'],
    /^--at: it must be a regular expression: /,
  ],
  [
    'a node that is nowhere',
    ['fuse-linear', '--at', '^nowhere$', 'fixtures/hf-qa'],
    /^--at: no node is called "\^nowhere\$" where the pass begins\n/,
  ],
])('refuses %s', async (_, argv, problem) => {
  const { code, out, err } = await explain(...argv);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  if (typeof problem === 'string') expect(err).toBe(problem);
  else expect(err).toMatch(problem);
});

test.each([['fixtures/hf-qa'], ['--at', 'x'], ['--target', 'onnx'], ['--passes', 'none'], ['--task', 'qa']])(
  'the list of passes takes nothing that is of one model: %s',
  async (...argv) => {
    const { code, out, err } = await runCommand(folder, 'passes', ...argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toBe(
      `${argv[0]}: the list of passes is the same for every model, task, shape and format\nhint: --explain PASS says what a pass made of one\n`,
    );
  },
);
