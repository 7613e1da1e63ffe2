import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type BenchOptions, bench } from '../../../src/pipelines/bench/bench.ts';
import { openBenchModels } from '../../../src/pipelines/bench/models.ts';
import { reasonsFor } from '../../../src/pipelines/bench/slower.ts';
import { spreadOf } from '../../../src/pipelines/bench/spread.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { unpacked } from '../../unpacked.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const inFolder = (name: string) => join(folder, name);
const float = inFolder('float.onnx');
const dynamic = inFolder('dynamic.onnx');
const fixed = inFolder('fixed.tflite');

/** Enough to see what is measured; how long it takes is nothing to assert. */
const QUICK = { runs: 3, warmup: 0, memory: false } as const;
const quick = (models: readonly string[], options: Partial<BenchOptions> = {}) =>
  bench({ ...QUICK, ...options, models });

beforeAll(async () => {
  await convert({ source: 'fixtures/hf-seqcls', output: float });
  await convert({ source: 'fixtures/hf-seqcls', output: fixed, sequenceLength: 16 });
  await quantize({ source: 'fixtures/hf-seqcls', output: dynamic, scheme: 'dynamic' });
});

describe('what is run', () => {
  test('files that take any length run at that of one that does not', async () => {
    const { rows, warnings, measure } = await quick([float, fixed, dynamic]);
    expect(rows.map(({ model, format, shape }) => ({ model, format, shape }))).toEqual([
      { model: float, format: 'onnx', shape: [1, 16] },
      { model: fixed, format: 'tflite', shape: [1, 16] },
      { model: dynamic, format: 'onnx', shape: [1, 16] },
    ]);
    expect({ warnings, measure }).toEqual({ warnings: [], measure: 'cpu' });
    expect(rows[0]?.ratio).toBe(1);
    for (const { cpuMs, wallMs, loadMs, bytes, runtime } of rows) {
      expect(runtime).toMatch(/^(onnxruntime|litert) \d/);
      expect(bytes).toBeGreaterThan(1e5);
      expect(loadMs).toBeGreaterThan(0);
      for (const { low, median, high } of [cpuMs, wallMs])
        expect([low, median, high]).toEqual([low, median, high].sort((a, b) => a - b));
    }
  });

  test('another baseline comes first', async () => {
    const { rows } = await quick([float], { against: dynamic, sequenceLength: 8, batch: 1 });
    expect(rows.map(({ model, shape }) => [model, shape])).toEqual([
      [dynamic, [1, 8]],
      [float, [1, 8]],
    ]);
  });

  test('more threads are measured by what the user waits', async () => {
    expect(await quick([float], { threads: 2 })).toMatchObject({ measure: 'wall', threads: 2 });
  });

  test('a checkpoint is written as both formats', async () => {
    const { rows } = await quick(['fixtures/hf-multiplechoice'], { sequenceLength: 8 });
    expect(rows.map(({ model, shape }) => [model, shape])).toEqual([
      ['fixtures/hf-multiplechoice as tflite', [1, 4, 8]],
      ['fixtures/hf-multiplechoice as onnx', [1, 4, 8]],
    ]);
  });

  test('a TF.js model runs as it is, beside what it becomes', async () => {
    const source = join(unpacked('fixtures/tfjs-qa'), 'tfjs');
    const { rows, warnings } = await quick([source]);
    expect(rows.map(({ model, format, shape }) => [model, format, shape])).toEqual([
      [source, 'tfjs', [1, 32]],
      [`${source} as tflite`, 'tflite', [1, 32]],
      [`${source} as onnx`, 'onnx', [1, 32]],
    ]);
    expect(warnings).toEqual([]);
    const files = readdirSync(source).map((name) => statSync(join(source, name)).size);
    expect(rows[0]?.bytes).toBe(files.reduce((sum, size) => sum + size, 0));
  });

  test('a folder with an ONNX file is written as both formats, as it is not said to be run as it is', async () => {
    const source = join(unpacked('fixtures/mini-onnx-qa'));
    const { rows } = await quick([source]);
    expect(rows.map(({ model, format }) => [model, format])).toEqual([
      [`${source} as tflite`, 'tflite'],
      [`${source} as onnx`, 'onnx'],
    ]);
  });

  test('a TF.js model that TF.js does not run is timed as what it becomes, and a warning says why', async () => {
    const source = join(unpacked('fixtures/tfjs-roberta-seqcls'), 'tfjs');
    const { rows, warnings } = await quick([source]);
    expect(rows.map(({ format }) => format)).toEqual(['tflite', 'onnx']);
    expect(warnings).toContainEqual(expect.stringMatching(/TF\.js has no op Assert: it is not timed itself$/));
  });

  test("other tools' names and types of inputs are fed as they ask", async () => {
    const google = join(unpacked('fixtures/tflite-qa-float32'), 'model.tflite');
    const torch = join(unpacked('fixtures/onnx-qa-ts'), 'model.onnx');
    const { rows } = await quick([google, torch]);
    expect(rows.map(({ shape }) => shape)).toEqual([
      [1, 32],
      [1, 32],
    ]);
  });

  test('texts run as long as they are, or padded where a file is fixed', async () => {
    const data = inFolder('texts.txt');
    writeFileSync(data, 'a short one\nand one that is somewhat longer than that\n');
    const { rows, warnings } = await quick([float, fixed], { data, vocab: 'fixtures/hf-seqcls/vocab.txt' });
    expect(rows.map(({ shape }) => shape)).toEqual([
      [1, 'varies'],
      [1, 16],
    ]);
    expect(warnings).toEqual([
      `${float} runs [1, 5 to 14] and ${fixed} runs [1, 16]: their ratio is not one of equal work`,
      `${float}: runs have 5 to 14 tokens, which spreads their times; --sequence-length 14 makes them equal`,
    ]);
  });

  test('texts of one length are equal work', async () => {
    const data = inFolder('alike.txt');
    writeFileSync(data, 'a short one\nof three words\n');
    const { warnings } = await quick([float, dynamic], { data, vocab: 'fixtures/hf-seqcls/vocab.txt' });
    expect(warnings.join()).not.toMatch(/equal|tokens/);
  });

  test('unequal work is pointed out', async () => {
    const { warnings } = await quick([fixed, join(unpacked('fixtures/tflite-qa-float32'), 'model.tflite')]);
    expect(warnings).toEqual([expect.stringContaining('their ratio is not one of equal work')]);
  });
});

test('memory is measured in a process of its own', async () => {
  const { rows } = await bench({ models: [float, fixed], runs: 1, warmup: 0 });
  for (const { peakMemoryBytes } of rows) expect(peakMemoryBytes).toBeGreaterThan(1e6);
});

test('a profile has every kernel of the model', async () => {
  const { rows } = await quick([dynamic, fixed], { profile: true, sequenceLength: 16 });
  const [profile, none] = rows.map((row) => row.profile);
  expect(none).toBeNull();
  expect(profile?.ops.map(({ op }) => op)).toContain('DynamicQuantizeMatMul');
  expect(profile?.ops.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  expect(profile?.ops.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(profile?.kernelMs as number);
  expect(profile?.nodes.length).toBe(10);
});

describe('why integers may be slow', () => {
  async function reasons(path: string, tokens: number): Promise<string[]> {
    const [model] = await openBenchModels(path, folder, { task: undefined, shape: {} }, () => {});
    return model ? reasonsFor(model, tokens) : [];
  }

  test('a file of another tool: what its runtime made of it, and what rules say', async () => {
    const found = await reasons(join(unpacked('fixtures/onnx-qa-qdq'), 'model.onnx'), 64);
    expect(found).toContainEqual('18 products run in floats behind 209 DequantizeLinear, 18 in integers');
    expect(found).toContainEqual(expect.stringMatching(/^unfused-inputs \(18 times\): /));
    expect(found.join()).not.toContain('f16');
  });

  test('TFLite: what XNNPACK declines', async () => {
    const found = await reasons('fixtures/tflite-qa-int8/model.tflite', 64);
    expect(found).toContainEqual(expect.stringContaining('matmul-zero-points (3 times)'));
  });

  test('few tokens', async () => {
    expect(await reasons(dynamic, 4)).toContainEqual('4 tokens a run leave products little of the time');
    expect(await reasons(dynamic, 64)).not.toContainEqual(expect.stringContaining('tokens'));
  });
});

describe('refusals', () => {
  test.each([
    ['a size that a file does not have', [fixed], { sequenceLength: 32 }, 'USAGE', 'fixed to 16'],
    ['a batch that a file does not have', [fixed], { batch: 2 }, 'USAGE', '--batch'],
    ['more than a model has positions for', [float], { sequenceLength: 4096 }, 'USAGE', 'is over the'],
    ['texts without a vocabulary', [float], { data: 'fixtures/README.md' }, 'USAGE', 'no vocabulary'],
    ['what is no model', ['README.md'], {}, 'UNKNOWN_FORMAT', 'README.md'],
    ['a file that is not there', ['none.onnx'], {}, 'NOT_FOUND', 'none.onnx'],
    ['nothing', [], {}, 'USAGE', 'no model'],
  ])('%s', async (_, models, options, code, message) => {
    await expect(quick(models, options)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

test('a spread leaves out a tenth at either end', () => {
  expect(spreadOf([5, 1, 3, 2, 4, 100, 6, 7, 8, 9, 0])).toEqual({ low: 1, median: 5, high: 9 });
  expect(spreadOf([2])).toEqual({ low: 2, median: 2, high: 2 });
});
