import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readF32 } from '../../src/ir/tensor.ts';
import { fixture, readArray, readManifest } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { difference, runConverted, runFile } from './converted.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** How a file is stored; what it computes is compared with the framework, or where it rounds with itself in ONNX Runtime. */
type Kind =
  | { readonly is: 'float' }
  /** Halves, which runtimes widen or not. */
  | { readonly is: 'half'; readonly within: number }
  /** Integers, which stay integers in the formats named. */
  | { readonly is: 'integer'; readonly onnx: number; readonly tflite: number; readonly keeps: readonly string[] }
  | { readonly is: 'refused'; readonly because: RegExp };

const BOTH = ['onnx', 'tflite'];

/** TFLite's kernels round each row by itself, ONNX's the whole value. */
const dynamic: Kind = { is: 'integer', onnx: 1e-3, tflite: 0.05, keeps: BOTH };

/** By the end of a case's name; all others are float. */
const KINDS: readonly (readonly [ending: RegExp, kind: Kind])[] = [
  [/--m4-bnb4$/, { is: 'refused', because: /MatMulBnb4/ }],
  [/--(m4-fp16|optO4)$/, { is: 'half', within: 2e-3 }],
  // TFLite has no blocks with zero points or negative scales.
  [/--m4-q4(asym)?$/, { is: 'integer', onnx: 1e-3, tflite: 0.05, keeps: ['onnx'] }],
  [/--m4-qdq$/, { is: 'integer', onnx: 0.05, tflite: 0.06, keeps: BOTH }],
  [/^distilbert.*--optqavx512v$/, { ...dynamic, tflite: 0.15 }],
  [/--(m4-tjs-.*|op-uint8|optq.*)$/, dynamic],
];

const CASES = readdirSync('fixtures').filter(
  (name) => name.startsWith('family-') && readdirSync(fixture(name)).some((file) => file.startsWith('model.onnx')),
);

function kindOf(name: string): Kind {
  return KINDS.find(([ending]) => ending.test(name.slice('family-'.length)))?.[1] ?? { is: 'float' };
}

function arrays(name: string, of: { readonly [key: string]: { readonly file: string } }) {
  return new Map(Object.entries(of).map(([key, { file }]) => [key, readArray(name, file)]));
}

describe.each(['onnx', 'tflite'] as const)('%s computes what the exporter’s file computes', (target) => {
  test.each(CASES)('%s', async (name) => {
    const kind = kindOf(name);
    const { inputs, expected, tolerance } = readManifest(name);
    const source = join(unpacked(fixture(name)), 'model.onnx');
    const feeds = arrays(name, inputs);
    const run = runConverted(source, target, { folder: mkdtempSync(join(folder, 'case-')), feeds });
    if (kind.is === 'refused') {
      await expect(run).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(kind.because) });
      return;
    }
    const { outputs, size } = await run;
    const wanted = kind.is === 'integer' ? await runFile(source, feeds) : floats(arrays(name, expected));
    for (const [output, values] of wanted) {
      const limit = kind.is === 'float' ? tolerance[output]?.atol : kind.is === 'half' ? kind.within : kind[target];
      expect(difference(values, outputs.get(output) ?? new Float32Array()), output).toBeLessThan(limit ?? 0);
    }
    if (kind.is === 'integer' && kind.keeps.includes(target)) expect(size).toBeLessThan(statSync(source).size);
  });
});

function floats(values: ReturnType<typeof arrays>) {
  return new Map([...values].map(([output, array]) => [output, readF32(array)]));
}
