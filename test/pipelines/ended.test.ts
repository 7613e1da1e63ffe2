import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Progress, RunOptions } from '../../src/options/run.ts';
import { bench } from '../../src/pipelines/bench/bench.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { quantize } from '../../src/pipelines/quantize/quantize.ts';
import { verify } from '../../src/pipelines/verify/verify.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { temporaryFolder } from './written.ts';

const SOURCE = 'fixtures/hf-seqcls';
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';

const folder = temporaryFolder();
const scratch = join(folder, 'tmp');
let output = '';
let count = 0;
beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  vi.stubEnv('TMPDIR', scratch);
  output = join(folder, `${count++}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  // ONNX Runtime leaves files of its own.
  expect(readdirSync(scratch).filter((name) => name.startsWith('mbert'))).toEqual([]);
});

/** A signal that ends a call at the nth time that it tells of a step. */
function endingAt(wanted: RegExp, time = 1): RunOptions & { readonly steps: string[] } {
  const controller = new AbortController();
  const steps: string[] = [];
  const progress: Progress = (step) => {
    steps.push(step);
    if (wanted.test(step) && steps.filter((told) => wanted.test(told)).length === time) {
      controller.abort(new Error('enough'));
    }
  };
  return { signal: controller.signal, progress, steps };
}

const INT8 = { source: SOURCE, scheme: 'int8', calibrate: TEXTS, samples: 16, sequenceLength: 16 } as const;

describe('an ended call throws the reason, and leaves nothing', () => {
  test.each([
    ['reading', /reading/, 1],
    ['writing the first file', /writing model.tflite/, 1],
    ['writing the second file', /writing model.onnx/, 1],
    ['verifying the first file', /verifying/, 1],
  ])('convert, %s', async (_, step, time) => {
    const ending = endingAt(step, time);
    const call = convert({ source: SOURCE, output: `${output}/`, verify: true, sequenceLength: 16, ...ending });
    await expect(call).rejects.toThrow('enough');
    expect(step.test(ending.steps.at(-1) ?? '')).toBe(true);
    expect(existsSync(output)).toBe(false);
  });

  test.each([
    ['calibrating for passes', /measuring channels/, 1],
    ['calibrating for ranges', /calibrating/, 3],
    ['writing', /writing/, 1],
    ['comparing', /comparing/, 3],
  ])('quantize, %s', async (_, step, time) => {
    const ending = endingAt(step, time);
    await expect(quantize({ ...INT8, output: join(output, 'm.onnx'), ...ending })).rejects.toThrow('enough');
    expect(step.test(ending.steps.at(-1) ?? '')).toBe(true);
    expect(existsSync(output)).toBe(false);
  });

  test('verify and bench, running', async () => {
    await convert({ source: SOURCE, output: join(output, 'm.onnx') });
    const model = join(output, 'm.onnx');
    await expect(verify({ model, against: SOURCE, samples: 4, ...endingAt(/running/, 2) })).rejects.toThrow('enough');
    const quick = { models: [SOURCE, model], runs: 2, warmup: 0, memory: false, sequenceLength: 8 } as const;
    await expect(bench({ ...quick, ...endingAt(/running/) })).rejects.toThrow('enough');
  });
});

describe('a failure', () => {
  const failing = (runtime: typeof onnxruntime) =>
    vi.spyOn(runtime, 'load').mockRejectedValue(new Error('out of memory'));

  test('behind the first of two files leaves neither', async () => {
    failing(onnxruntime);
    await expect(quantize({ ...INT8, output: `${output}/` })).rejects.toThrow('out of memory');
    expect(existsSync(output)).toBe(false);
    vi.restoreAllMocks();
    failing(litert);
    await expect(convert({ source: SOURCE, output: `${output}/`, verify: true })).rejects.toThrow('out of memory');
    expect(existsSync(output)).toBe(false);
  });

  test('takes nothing away that was there before', async () => {
    mkdirSync(output);
    writeFileSync(join(output, 'notes.txt'), 'mine');
    writeFileSync(join(output, 'model.onnx'), 'old');
    const call = convert({ source: SOURCE, output: `${output}/`, force: true, ...endingAt(/writing model.onnx/) });
    await expect(call).rejects.toThrow('enough');
    expect(readdirSync(output).sort()).toEqual(['model.onnx', 'notes.txt']);
    expect(readFileSync(join(output, 'model.onnx'), 'utf8')).toBe('old');
  });

  test('takes the weights away that were written beside a model', async () => {
    mkdirSync(output);
    failing(onnxruntime);
    const options = { source: SOURCE, output: join(output, 'm.onnx'), externalData: true, verify: true };
    await expect(convert(options)).rejects.toThrow('out of memory');
    expect(readdirSync(output)).toEqual([]);
  });
});

test('a call that is ended before it begins does nothing', async () => {
  const signal = AbortSignal.abort(new Error('too late'));
  for (const call of [
    () => convert({ source: 'none', output, signal }),
    () => quantize({ ...INT8, source: 'none', output, signal }),
    () => verify({ model: 'none', against: 'none', signal }),
    () => bench({ models: ['none'], signal }),
  ]) {
    await expect(call()).rejects.toThrow('too late');
  }
});

test('biases are corrected where a model is as wide as its sequence is long', async () => {
  const options = { ...INT8, sequenceLength: 64, samples: 48, biasCorrection: true, scan: false } as const;
  const { results } = await quantize({ ...options, output: join(output, 'm.tflite'), data: shortTexts() });
  expect(results[0]?.biasCorrection).toMatchObject({ samples: 32 });
  expect(results[0]?.proof?.sqnrDb).toBeGreaterThan(25);
});

function shortTexts(): string {
  const lines = readFileSync(TEXTS, 'utf8').split('\n').slice(100, 104);
  const path = join(folder, 'short.txt');
  writeFileSync(path, lines.join('\n'));
  return path;
}
