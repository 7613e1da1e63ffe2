import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type QuantizeOptions, quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { verify } from '../../../src/pipelines/verify/verify.ts';
import { realKernels } from '../../lint/onnx-sample.ts';
import { writeLoudEncoder } from '../../passes/loud-encoder.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const source = writeLoudEncoder(join(folder, 'loud'));

async function written(name: string, options: Partial<QuantizeOptions> = {}) {
  const { results } = await quantize({
    source,
    output: join(folder, name),
    scheme: 'int8',
    calibrate: 'fixtures/mobilebert-demo/sst2-train-256.txt',
    samples: 48,
    ...options,
  });
  const [file] = results;
  if (file?.proof === undefined) throw new Error(`${name} was not proven`);
  return { ...file, db: file.proof.sqnrDb };
}

test('smoothing makes every encoder linear of a loud ONNX model a QGemm, and its answers better', async () => {
  const raw = await written('raw.onnx', { passes: '-smooth-activations', scan: false });
  const smooth = await written('smooth.onnx');
  expect(raw.linears['int8']).toBe(9);
  expect(smooth.linears['int8']).toBe(9);
  expect(smooth.linears['w8'] ?? 0).toBe(0);
  const optimized = join(folder, 'optimized');
  mkdirSync(optimized);
  expect(await realKernels(join(folder, 'smooth.onnx'), optimized)).toEqual({ QGemm: 9 });
  expect(smooth.db).toBeGreaterThan(raw.db + 2.5);
  expect(smooth.rounding?.samples).toBe(32);
  expect(raw.rounding).toBeUndefined();
  // No linear is compared with one of which the file holds only a part; a pooler of random weights loses most.
  const { layers } = await verify({ model: join(folder, 'smooth.onnx'), against: source });
  expect(layers?.compared).toBeGreaterThan(20);
  expect(layers?.parting?.name).not.toContain('encoder.layer');
});

test('smoothing what norms and GELUs read and write makes a loud TFLite model better, too', async () => {
  const shape = { sequenceLength: 32, scan: false, rounding: 'nearest' } as const;
  const raw = await written('raw.tflite', { passes: '-smooth-activations,-smooth-results', ...shape });
  const smooth = await written('smooth.tflite', shape);
  expect(smooth.linears['int8']).toBe(raw.linears['int8']);
  expect(smooth.db).toBeGreaterThan(raw.db + 3);
  expect(smooth.passes.find(({ name }) => name === 'smooth-results')?.notes?.length).toBe(2);
  const warning = 'has loud channels, which were smoothed: --scheme dynamic may be nearer to the float model';
  expect(smooth.warnings.some((each) => each.endsWith(warning))).toBe(true);
  expect(raw.warnings.some((each) => each.endsWith(warning))).toBe(false);
});
