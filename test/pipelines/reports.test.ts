import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readNpy } from '../../src/formats/npy.ts';
import { readF32 } from '../../src/ir/tensor.ts';
import { fixture } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { difference, runConverted, runFile } from './converted.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** How far answers may be from the framework's: f32 rounds in another order. */
const ROUNDING = 1e-4;

/** What comes of a case in a format: how far its answers are, or what is said. */
type Outcome = number | RegExp;

interface Report {
  readonly onnx?: Outcome;
  readonly tflite?: Outcome;
  /** The oracle is the source in ONNX Runtime, not the arrays beside it. */
  readonly bySource?: boolean;
  /** The only output that a TFLite file gets; all others get all. */
  readonly alone?: string;
}

/** Graphs of other exporters that were read wrong, or refused without need. Without an outcome both formats are right. */
const REPORTS: { readonly [name: string]: Report } = {
  // ONNX Runtime rounds what meets 4-bit weights to 8 bits, NumPy's and LiteRT's products of floats do not.
  'a1-int4-ort-qdq-bert': { tflite: 0.1 },
  'a1-int4-weight-in-out': { onnx: 0.05, tflite: 0.05 },
  'a1-own-w4-read-back': { tflite: 0.06 },
  'a2-attention24-nonpad-kv-seqlen': {},
  'a3-float64-mask': {},
  'a4-gather-negative-index': {},
  'a5-slice-to-limit': {},
  'a7-cast-of-float-fill': {},
  'b1-distilbert-eager': {},
  'b1-int64-compare-tflite': {},
  'b3-quantized-mask-infinite-scale': { onnx: /a scale of Infinity/, tflite: /a scale of Infinity/ },
  'c1-bool-mask-where': {},
  'c1-sdpa-mask-where': {},
  'c2-mha-torchscript-mod': {},
  'c3-l2-normalize': {},
  'c3-mean-pooling': {},
  // The arrays beside it are not what ONNX Runtime computes of the source.
  'c3-sentence-transformers': { bySource: true, alone: 'sentence_embedding' },
  'c4-matmulnbits': { onnx: 0.1 },
  'c4-ort-attention': {},
  'c5-tflite-dynamic-shape': {},
  'c6-batchmatmul-broadcast': {},
  // LiteRT rounds what meets 4-bit weights for each row, ONNX Runtime in blocks.
  'c7-blockwise-embedding': { onnx: 0.05 },
  // Three steps of the 8 bits that the answers are stored in.
  'c8-int8-tflite-to-tflite': { onnx: 0.1 },
  'c8-qdq-to-tflite': { onnx: 0.06, tflite: 0.06 },
  'c9-attention-constant-bool-mask': {},
  'c9-external-data-subfolder': {},
  'c9-unsorted': {},
  'd1-second-output': {},
  'd2-hint-numbers-given': {},
};

/** The arrays of a case, `input_x.npy` or `expected_x.npy`, by x. */
function arrays(name: string, kind: 'input' | 'expected') {
  const files = readdirSync(fixture(name)).filter((file) => file.startsWith(`${kind}_`));
  return new Map(
    files.map((file) => {
      const path = join(fixture(name), file);
      return [file.slice(kind.length + 1, -'.npy'.length), readNpy(readFileSync(path), path)] as const;
    }),
  );
}

async function answers(name: string, source: string, { bySource }: Report) {
  if (bySource) return new Map(await runFile(source, arrays(name, 'input')));
  return new Map([...arrays(name, 'expected')].map(([output, array]) => [output, readF32(array)]));
}

describe.each(['onnx', 'tflite'] as const)('%s', (target) => {
  test.each(Object.entries(REPORTS))('%s', async (report, row) => {
    const name = `report-${report}`;
    const unpackedFolder = unpacked(fixture(name));
    const source = ['m.onnx', 'm.tflite', 'sm']
      .map((file) => join(unpackedFolder, file))
      .find((path) => existsSync(path)) as string;
    const outcome = row[target] ?? ROUNDING;
    const run = runConverted(source, target, {
      folder: mkdtempSync(join(folder, 'case-')),
      feeds: arrays(name, 'input'),
    });
    if (outcome instanceof RegExp) {
      await expect(run).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(outcome) });
      return;
    }
    const { outputs } = await run;
    const expected = await answers(name, source, row);
    if (target === 'tflite' && row.alone !== undefined) {
      expect([...outputs.keys()]).toEqual([row.alone]);
      for (const output of expected.keys()) if (output !== row.alone) expected.delete(output);
    }
    for (const [output, wanted] of expected) {
      expect(difference(wanted, outputs.get(output) ?? new Float32Array()), output).toBeLessThan(outcome);
    }
  });
});

test('every report is in the table', () => {
  const found = readdirSync('fixtures').filter((name) => name.startsWith('report-'));
  expect(Object.keys(REPORTS).map((name) => `report-${name}`)).toEqual(found);
});
