import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lintFile, predictOnnxRuntime } from '../../src/lint/lint-file.ts';
import { type QuantizeOptions, quantize } from '../../src/pipelines/quantize/quantize.ts';
import { type KernelCounts, leftDequantized, realKernels } from '../lint/onnx-sample.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const DEMO = 'fixtures/mobilebert-demo';
const folder = temporaryFolder();

async function written(
  name: string,
  source: string,
  options: Partial<QuantizeOptions> & Pick<QuantizeOptions, 'scheme'>,
) {
  const output = join(folder, `${name}.onnx`);
  const { results } = await quantize({ source, output, ...options });
  return { path: output, linears: results[0]?.linears ?? {}, warnings: results[0]?.warnings ?? [] };
}

function predicted(path: string): KernelCounts {
  const counts: { [kernel: string]: number } = {};
  for (const { kernel } of predictOnnxRuntime(path)) counts[kernel] = (counts[kernel] ?? 0) + 1;
  return counts;
}

async function real(path: string, name: string): Promise<KernelCounts> {
  const own = join(folder, `${name}-optimized`);
  mkdirSync(own);
  return realKernels(path, own);
}

/** What is proven on the rest is not the point here. */
const texts = join(folder, 'texts.txt');
writeFileSync(texts, readFileSync(join(DEMO, 'sst2-train-256.txt'), 'utf8').split('\n').slice(0, 20).join('\n'));
const CALIBRATED = { calibrate: texts, samples: 16, scan: false };

describe('what quantize writes', () => {
  test.each([
    ['int8, any length', { scheme: 'int8', ...CALIBRATED }],
    ['int8, fixed', { scheme: 'int8', sequenceLength: 32, ...CALIBRATED }],
  ] as const)(
    '%s: every linear of integers is a QGemm, no DequantizeLinear is left at a product',
    async (name, options) => {
      const { path, linears, warnings } = await written(name.replace(', ', '-'), DEMO, options);
      expect(linears['int8']).toBeGreaterThan(20);
      const kernels = await real(path, name);
      expect(kernels).toEqual({ QGemm: linears['int8'] });
      expect(predicted(path)).toEqual(kernels);
      expect(await leftDequantized(path, folder)).toEqual([]);
      expect(lintFile(path).findings).toEqual([]);
      expect(warnings.filter((warning) => warning.startsWith(path))).toEqual([]);
    },
  );

  test('dynamic: a kernel for each linear, which rounds its own input where nothing else reads it', async () => {
    const { path, linears } = await written('dynamic', DEMO, { scheme: 'dynamic' });
    const kernels = await real(path, 'dynamic');
    expect(predicted(path)).toEqual(kernels);
    expect((kernels.DynamicQuantizeMatMul ?? 0) + (kernels.MatMulIntegerToFloat ?? 0)).toBe(
      Object.entries(linears).reduce((sum, [how, count]) => sum + (how === 'float' ? 0 : count), 0),
    );
    expect(lintFile(path).findings).toEqual([]);
  });

  test('w4: weights are unpacked in the kernel', async () => {
    const { path } = await written('w4', DEMO, { scheme: 'w4' });
    const kernels = await real(path, 'w4');
    expect(predicted(path)).toEqual(kernels);
    expect(Object.keys(kernels)).toEqual(['MatMulNBits']);
  });

  test.each(['w4', 'dynamic'] as const)(
    '%s for ONNX Runtime: kernels of its own, and tables of 4 bits',
    async (scheme) => {
      const { path, linears, warnings } = await written(`ort-${scheme}`, DEMO, { scheme, target: 'ort' });
      const kernels = await real(path, `ort-${scheme}`);
      expect(kernels).toEqual({ MatMulNBits: linears[scheme] });
      expect(predicted(path)).toEqual(kernels);
      expect(lintFile(path).findings).toEqual([]);
      expect(warnings).toEqual([]);
    },
  );

  test('int16x8: a warning says once that nothing is a kernel of integers', async () => {
    const { path, warnings } = await written('int16x8', DEMO, { scheme: 'int16x8', ...CALIBRATED });
    const kernels = await real(path, 'int16x8');
    expect(predicted(path)).toEqual(kernels);
    expect(Object.keys(kernels)).toEqual(['float']);
    const told = warnings.filter((warning) => warning.startsWith(path));
    expect(told).toEqual([expect.stringMatching(/is u?i?16, not 8 bits \(unfused-inputs, and \d+ more\)$/)]);
  });
});

describe('files of other tools become what is predicted', () => {
  test.each(['onnx-qa-qdq', 'onnx-qa-dynquant', 'onnx-qa-ts'])('%s', async (name) => {
    const path = join(unpacked(`fixtures/${name}`), 'model.onnx');
    expect(predicted(path)).toEqual(await real(path, name));
  });
});
