import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import { CHANGES } from '../diff/changes.ts';
import { changedCheckpoint } from '../diff/checkpoints.ts';
import { problemsOf, type Schema } from '../diff/json-schema.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const run = (...argv: string[]) => runCommand(folder, ...argv);
const path = (name: string) => join(folder, name);

/** LayerNorm and GELU: nothing folds into anything, so that a weight of the checkpoint is a weight of its exports. */
const SOURCE = 'fixtures/hf-qa-layernorm-gelu';
const UP = 'mobilebert.encoder.layer.1.intermediate.dense';

beforeAll(async () => {
  changedCheckpoint(SOURCE, path('nudged'), (name, values) => {
    if (name === `${UP}.weight`) values[5] = (values[5] as number) + 0.25;
    if (name === `${UP}.bias`) values.fill(0);
  });
  for (const file of ['a.onnx', 'a.tflite']) await run('convert', SOURCE, '-o', path(file));
  await run('convert', path('nudged'), '-o', path('b.onnx'));
  for (const opset of ['15', '18']) await run('convert', SOURCE, '-o', path(`opset${opset}.onnx`), '--opset', opset);
  await run('convert', SOURCE, '-o', path('half.onnx'), '--dtype', 'f16');
});

describe('a checkpoint and its exports', () => {
  test.each(['a.onnx', 'a.tflite'])('%s is the same by meaning', async (file) => {
    const { code, out, err } = await run('diff', SOURCE, path(file));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('level raised');
    expect(out.trimEnd().split('\n').at(-1)).toBe('same');
  });

  test('one export is the same as the other', async () => {
    expect((await run('diff', path('a.onnx'), path('a.tflite'))).code).toBe(0);
  });

  test('as stored they differ', async () => {
    expect((await run('diff', SOURCE, path('a.onnx'), '--level', 'raw')).code).toBe(1);
  });

  test('what was changed in the checkpoint is what differs from the export of the other', async () => {
    const { code, out } = await run('diff', path('nudged'), path('a.tflite'));
    expect(code).toBe(1);
    expect(out.split('\n').filter((line) => line.includes(UP))).toHaveLength(2);
    expect(out).toContain('different: structure 1, weights 1');
  });
});

test('another opset is what differs, and nothing else', async () => {
  const { code, out } = await run('diff', path('a.onnx'), path('opset18.onnx'), '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out).differences).toEqual([
    { kind: 'metadata', change: 'metadata', key: 'opset', from: '17', to: '18' },
  ]);
});

describe('reports', () => {
  test.each(['text', 'markdown', 'github'])('%s', async (format) => {
    const { code, out } = await run('diff', path('a.onnx'), path('b.onnx'), '--format', format);
    expect(code).toBe(1);
    await expect(out).toMatchFileSnapshot(`golden/diff-${format}.txt`);
  });

  test('text and Markdown show the first differences and count the rest, --all shows them', async () => {
    const other = changedCheckpoint(SOURCE, path('all'), (_, values) => {
      values[0] = (values[0] as number) + 1;
    });
    for (const format of ['text', 'markdown']) {
      const some = await run('diff', SOURCE, other, '--format', format);
      const all = await run('diff', SOURCE, other, '--format', format, '--all');
      expect(some.out).toMatch(/and \d+ more: /);
      expect(some.out.split('\n').length).toBeLessThan(40);
      expect(all.out).not.toMatch(/and \d+ more: /);
      expect(all.out.split('\n').length).toBeGreaterThan(80);
    }
  });

  test('outputs are compared in the runtimes', async () => {
    const { code, out } = await run('diff', path('a.onnx'), path('half.onnx'), '--numeric', '--fail-on', 'numeric');
    expect(code).toBe(1);
    expect(out).toMatch(/16 sequences in onnxruntime [\d.]+ and onnxruntime [\d.]+/);
    expect(out).toMatch(/start_logits\s+differs\s+\S+\s+\S+\s+\d+\.\d dB\s+\d+(\.\d+)? %/);
    const tolerant = ['--numeric', '--fail-on', 'numeric', '--atol', '0.1'];
    expect((await run('diff', path('a.onnx'), path('half.onnx'), ...tolerant)).code).toBe(0);
    expect((await run('diff', SOURCE, path('a.tflite'), '--numeric')).code).toBe(0);
    expect((await run('diff', SOURCE, path('a.onnx'), '--numeric', 'reference', '--task', 'qa')).code).toBe(0);
  });
});

describe('JSON', () => {
  const schema: Schema = JSON.parse(readFileSync('schemas/diff.schema.json', 'utf8'));

  test.each([
    ['what differs', ['a.onnx', 'b.onnx']],
    ['metadata', ['a.onnx', 'opset18.onnx']],
    ['types, sizes and outputs', ['a.onnx', 'half.onnx', '--numeric', '--max-size-delta', '1kB']],
    ['two formats', ['a.onnx', 'a.tflite']],
  ])('is as documented: %s', async (_, [a = '', b = '', ...flags]) => {
    const { out } = await run('diff', path(a), path(b), '--json', ...flags);
    expect(problemsOf(JSON.parse(out), schema)).toEqual([]);
  });

  test('is as documented for every change there is', async () => {
    const { out } = await run('diff', path('a.onnx'), path('a.onnx'), '--json');
    const report = JSON.parse(out);
    const changes = new Set<string>();
    for (const { name, a, b } of CHANGES) {
      const differences = JSON.parse(JSON.stringify(diffGraphs(a, b).differences));
      for (const { change } of differences) changes.add(change);
      expect(problemsOf({ ...report, differences }, schema), name).toEqual([]);
    }
    expect([...changes].sort()).toMatchInlineSnapshot(`
      [
        "added",
        "attributes",
        "dtype",
        "exchanged",
        "granularity",
        "input-removed",
        "input-renamed",
        "input-type",
        "inputs-reordered",
        "inputs-swapped",
        "moved",
        "output-added",
        "output-removed",
        "output-renamed",
        "outputs-reordered",
        "outputs-swapped",
        "permuted",
        "removed",
        "replaced",
        "rewired",
        "rounded",
        "scaled",
        "scales",
        "scheme",
        "shape",
        "storage",
        "transposed",
        "values",
        "zero-points",
        "zeroed",
      ]
    `);
  });

  test('the schema finds what is wrong', async () => {
    const { out } = await run('diff', path('a.onnx'), path('b.onnx'), '--json');
    const report = JSON.parse(out);
    const [first] = report.differences;
    expect(problemsOf({ ...report, same: 'no' }, schema)).toEqual(['$.same: is no boolean']);
    expect(problemsOf({ ...report, more: 1 }, schema)).toEqual(['$: has an unknown more']);
    expect(problemsOf({ ...report, differences: [{ ...first, change: 'other' }] }, schema)).not.toEqual([]);
  });

  test('counts what it leaves out', async () => {
    const { out } = await run('diff', path('a.onnx'), path('half.onnx'), '--json', '--all');
    const { differences, omitted, counts } = JSON.parse(out);
    expect(omitted).toBe(0);
    expect(differences).toHaveLength(counts.weights + counts.metadata);
  });
});

describe('what counts', () => {
  test.each([
    [1, ['a.onnx', 'b.onnx']],
    [1, ['a.onnx', 'b.onnx', '--fail-on', 'weights']],
    [0, ['a.onnx', 'b.onnx', '--fail-on', 'structure,quant']],
    [0, ['a.onnx', 'b.onnx', '--fail-on', 'none']],
    [0, ['a.onnx', 'b.onnx', '--ignore', `${UP}.weight,${UP}.bias`]],
    [0, ['a.onnx', 'b.onnx', '--ignore', '*.intermediate.dense.*']],
    [1, ['a.onnx', 'b.onnx', '--ignore', `${UP}.weight`]],
    [0, ['a.onnx', 'b.onnx', '--atol', '2']],
    [0, ['a.onnx', 'b.onnx', '--rtol', '1']],
    [1, ['a.onnx', 'opset18.onnx']],
    [0, ['a.onnx', 'opset18.onnx', '--ignore', 'opset']],
    [0, ['a.onnx', 'opset18.onnx', '--fail-on', 'structure,weights,quant']],
    [0, ['a.onnx', 'opset15.onnx', '--level', 'raised']],
    [0, ['a.onnx', 'half.onnx', '--fail-on', 'size']],
    [1, ['a.onnx', 'half.onnx', '--fail-on', 'size', '--max-size-delta', '10%']],
    [0, ['a.onnx', 'half.onnx', '--fail-on', 'size', '--max-size-delta', '60%']],
    [1, ['a.onnx', 'half.onnx', '--fail-on', 'size', '--max-size-delta', '1kB']],
    [0, ['a.onnx', 'half.onnx', '--fail-on', 'size', '--max-size-delta', '1MB']],
  ])('exit code %i: %j', async (code, [a = '', b = '', ...flags]) => {
    expect((await run('diff', path(a), path(b), ...flags)).code).toBe(code);
  });
});

describe('lock files', () => {
  beforeAll(async () => {
    for (const file of ['a.onnx', 'a.tflite'])
      writeFileSync(path(`${file}.graph`), (await run('inspect', '--graph', path(file))).out);
    writeFileSync(path('source.graph'), (await run('inspect', '--graph', SOURCE)).out);
  });

  test.each([
    ['a.onnx.graph', 'a.onnx'],
    ['a.tflite.graph', 'a.tflite'],
  ])('%s is the same as its model', async (lock, file) => {
    const { code, out } = await run('diff', path(lock), path(file));
    expect(code, out).toBe(0);
    expect((await run('diff', path(file), path(lock))).code).toBe(0);
  });

  test('a checkpoint is the same as its text', async () => {
    expect((await run('diff', path('source.graph'), SOURCE)).code).toBe(0);
  });

  test('says which weights are others', async () => {
    const { code, out } = await run('diff', path('a.onnx.graph'), path('b.onnx'));
    expect(code).toBe(1);
    expect(out.slice(out.indexOf('weights:'))).toMatchInlineSnapshot(`
      "weights: 2 differences (89 of 91 tensors are equal)
        mobilebert.encoder.layer.1.intermediate.dense.weight f32[24, 16]: values
        mobilebert.encoder.layer.1.intermediate.dense.bias f32[24]: values

      different: weights 2
      "
    `);
  });

  test('two texts can be compared', async () => {
    copyFileSync(path('a.onnx.graph'), path('copy.graph'));
    expect((await run('diff', path('a.onnx.graph'), path('copy.graph'))).code).toBe(0);
  });
});

describe('what cannot be compared is exit code 2', () => {
  test.each([
    ['a source that is not there', [SOURCE, '<tmp>/absent']],
    ['text by meaning', ['<tmp>/source.graph', SOURCE, '--level', 'raised']],
    ['text that runs', ['<tmp>/source.graph', SOURCE, '--numeric']],
    ['text that is none', ['<tmp>/bad.graph', SOURCE]],
    ['text of a graph that cannot be', ['<tmp>/misfit.graph', SOURCE]],
    ['an unknown kind', [SOURCE, SOURCE, '--fail-on', 'weight']],
    ['a negative tolerance', [SOURCE, SOURCE, '--atol', '-1']],
    ['a size without a unit that is known', [SOURCE, SOURCE, '--max-size-delta', '5 bananas']],
    ['an unknown format', [SOURCE, SOURCE, '--format', 'pdf']],
    ['outputs that cannot be paired', [SOURCE, 'fixtures/hf-pretraining', '--numeric']],
  ])('%s', async (_, argv) => {
    writeFileSync(path('source.graph'), (await run('inspect', '--graph', SOURCE)).out);
    writeFileSync(path('bad.graph'), 'graph g (x: f32[2])\n  y = foo(x)\nreturn y: y\n');
    writeFileSync(path('misfit.graph'), 'graph g (x: f32[2])\n  y = add(x, c f32[3] #12)\nreturn y: y\n');
    const { code, out, err } = await run('diff', ...argv.map((word) => word.replace('<tmp>', folder)));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatchSnapshot();
  });
});

test('metadata of any length is compared, each property of mbert by its name', async () => {
  await run('convert', 'fixtures/hf-seqcls', '-o', path('plain.tflite'));
  await run('quantize', 'fixtures/hf-seqcls', '--scheme', 'dynamic', '-o', path('dynamic.tflite'));
  const { out } = await run('diff', path('plain.tflite'), path('dynamic.tflite'), '--json');
  const metadata = JSON.parse(out).differences.filter(({ kind }: { kind: string }) => kind === 'metadata');
  expect(metadata.filter(({ key }: { key: string }) => key.startsWith('mbert'))).toEqual([
    { kind: 'metadata', change: 'metadata', key: 'mbert.dtype', from: 'f32', to: 'dynamic' },
    {
      kind: 'metadata',
      change: 'metadata',
      key: 'mbert.quantization',
      from: null,
      to: expect.stringMatching(/^{.*}$/),
    },
  ]);
});
