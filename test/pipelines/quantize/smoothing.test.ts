import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type QuantizeOptions, quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { verify } from '../../../src/pipelines/verify/verify.ts';
import { realKernels } from '../../lint/onnx-sample.ts';
import { writeLoudEncoder } from '../../passes/loud-encoder.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const source = writeLoudEncoder(join(folder, 'loud'));

async function written(name: string, options: Partial<QuantizeOptions> = {}) {
  const result = await quantize({
    source,
    output: join(folder, name),
    scheme: 'int8',
    calibrate: 'fixtures/mobilebert-demo/sst2-train-256.txt',
    samples: 48,
    ...options,
  });
  const [file] = result.results;
  if (file?.proof === undefined) throw new Error(`${name} was not proven`);
  return { ...file, db: file.proof.sqnrDb };
}

test('smoothing makes every encoder linear of a loud ONNX model a QGemm, and its answers better', async () => {
  const raw = await written('raw.onnx', { passes: '-smooth-activations', scan: false });
  const smooth = await written('smooth.onnx');
  // The last layer needs the query of the first token alone, which makes a linear of its own. Peaks are of flat tokens,
  // which no slice moves ahead of.
  expect(raw.linears['int8']).toBe(10);
  expect(smooth.linears['int8']).toBe(9);
  expect(smooth.linears['w8'] ?? 0).toBe(0);
  const optimized = join(folder, 'optimized');
  mkdirSync(optimized);
  expect(await realKernels(join(folder, 'smooth.onnx'), optimized)).toEqual({ QGemm: 9 });
  expect(smooth.db).toBeGreaterThan(raw.db + 7);
  expect(smooth.rounding?.samples).toBe(32);
  expect(raw.rounding).toBeUndefined();
  // No linear is compared with one of which the file holds only a part; a pooler of random weights loses most.
  const { layers } = await verify({ model: join(folder, 'smooth.onnx'), against: source });
  expect(layers?.compared).toBeGreaterThan(15);
  expect(layers?.parting?.name).not.toContain('encoder.layer');
});

test('a dynamic ONNX file of a loud model is smoothed where there are texts, each value by scales', async () => {
  const raw = await written('raw-dynamic.onnx', { scheme: 'dynamic', passes: '-smooth-tensors' });
  const smooth = await written('smooth-dynamic.onnx', { scheme: 'dynamic' });
  expect(smooth.db).toBeGreaterThan(raw.db + 5);
  expect(smooth.rounding?.samples).toBe(32);
  const optimized = join(folder, 'optimized-dynamic');
  mkdirSync(optimized);
  const kernels = await realKernels(join(folder, 'smooth-dynamic.onnx'), optimized);
  // Queries of the last layer and keys and values share what was rounded at run time.
  expect(kernels).toEqual({ DynamicQuantizeMatMul: smooth.linears['dynamic'] });
});

test('a loud model without texts is told of them where one range is for all, and nowhere else', async () => {
  const notesOf = async (options: Partial<QuantizeOptions> & Pick<QuantizeOptions, 'source' | 'output'>) => {
    const notes: string[] = [];
    await quantize({ scheme: 'dynamic', ...options, note: (text) => notes.push(text) });
    return notes.filter((text) => text.includes('--calibrate FILE'));
  };
  const output = (name: string) => join(folder, 'blind', name);
  expect(await notesOf({ source, output: output('cpu.onnx') })).toHaveLength(1);
  for (const quiet of [
    { source, output: output('tokens.tflite') },
    { source, output: output('blocks.onnx'), target: 'ort' as const },
    { source, output: output('blocks-of-4.onnx'), scheme: 'w4' as const },
    { source, output: output('loud.onnx'), passes: '-smooth-tensors' },
    { source: 'fixtures/hf-seqcls', output: output('no-norm.onnx') },
  ])
    expect([quiet.output, await notesOf(quiet)]).toEqual([quiet.output, []]);
});

test('where the runtime rounds each token, as MatMulNBits does, a dynamic ONNX file is smoothed for that', async () => {
  const options = { scheme: 'dynamic', target: 'ort', scan: false } as const;
  const raw = await written('raw-ort.onnx', { ...options, passes: '-smooth-tokens' });
  const smooth = await written('smooth-ort.onnx', options);
  expect(smooth.passes.find(({ name }) => name === 'smooth-tensors')).toBeUndefined();
  expect(smooth.db).toBeGreaterThan(raw.db + 2);
});

test('an int8 file without tokens divided by peaks is another choice', async () => {
  const file = await written('no-peaks.onnx', { passes: '-smooth-activations,smooth-tensors', scan: false });
  const raw = await written('raw-int8.onnx', { passes: '-smooth-activations', scan: false });
  expect(file.passes.find(({ name }) => name === 'smooth-tensors')?.rewrites).toBeGreaterThan(0);
  expect(file.db).toBeGreaterThan(raw.db + 4);
});

describe('TFLite, where dynamic linears round each token alone', () => {
  const shape = { sequenceLength: 32, scan: false, rounding: 'nearest' } as const;

  test('an int8 file of a loud model has dynamic linears, far nearer to the float model, and says so', async () => {
    const notes: string[] = [];
    const raw = await written('raw.tflite', { passes: '-smooth-tokens', ...shape });
    const smooth = await written('smooth.tflite', { ...shape, note: (text) => notes.push(text) });
    expect(raw.linears).toMatchObject({ int8: 13 });
    expect(smooth.linears).toMatchObject({ dynamic: 13 });
    expect(smooth.linears['int8']).toBeUndefined();
    expect(smooth.db).toBeGreaterThan(raw.db + 8);
    const noise = (each: string) => each.endsWith('nearer to the float model than calibrated ranges, and as fast');
    expect(notes.filter(noise)).toHaveLength(1);
    expect(raw.warnings.some(noise)).toBe(false);
  });

  test('a dynamic file of it is smoothed where there are texts, and better for it', async () => {
    const raw = await written('raw-dynamic.tflite', { scheme: 'dynamic', passes: '-smooth-tokens', ...shape });
    const smooth = await written('smooth-dynamic.tflite', { scheme: 'dynamic', ...shape });
    expect(smooth.linears['dynamic']).toBe(raw.linears['dynamic']);
    expect(smooth.db).toBeGreaterThan(raw.db + 2);
  });

  test('a recipe has the last word on each linear', async () => {
    const recipe = join(folder, 'static.json');
    writeFileSync(recipe, '[{"match": "layer\\\\.0\\\\.intermediate\\\\.dense$", "op": "linear", "scheme": "int8"}]');
    const mixed = await written('mixed.tflite', { ...shape, recipe });
    expect(mixed.linears).toMatchObject({ dynamic: 12, int8: 1 });
  });
});
