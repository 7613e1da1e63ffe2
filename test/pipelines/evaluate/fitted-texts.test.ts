import { expect, test } from 'vitest';
import type { FittedTexts } from '../../../src/opened/fitted-texts.ts';
import { seenSamples, seenWarnings } from '../../../src/pipelines/evaluate/fitted-texts.ts';
import type { SampleFile, TokenSample } from '../../../src/samples/open-samples.ts';

const FIRST: FittedTexts = { source: 'a.txt', sha256: 'a', count: 2, seed: null };

function sample(id: number): TokenSample {
  return { row: { inputIds: [id], tokenTypeIds: [0] }, label: undefined, texts: undefined };
}

/** A file of the samples 1, 2, 3; the seed 7 gives them as 3, 1, 2. */
const reader = {
  inOrder(path: string, seed: number | undefined): SampleFile {
    const all = (seed === 7 ? [3, 1, 2] : [1, 2, 3]).map(sample);
    const take = (start: number, wanted: number) => {
      return { samples: all.slice(start, start + wanted), truncated: 0, warnings: [] };
    };
    return { path, count: 3, sha256: 'a', warnings: [], taken: 'lines', take };
  },
};

function found(texts: FittedTexts) {
  const { learnt, watched, others } = seenSamples([texts], 'b.txt', reader);
  const idsOf = (samples: readonly TokenSample[]) => samples.map(({ row }) => row.inputIds[0]);
  return [idsOf(learnt), idsOf(watched), others];
}

test('samples that were seen are the first in the order of the fit, or stand where it says, in a file of that hash', () => {
  expect(found(FIRST)).toEqual([[1, 2], [], []]);
  expect(found({ ...FIRST, seed: 7 })).toEqual([[3, 1], [], []]);
  const places: FittedTexts['places'] = [
    [0, 1],
    [2, 3],
  ];
  expect(found({ ...FIRST, seed: 7, places, watched: [[1, 2]] })).toEqual([[3, 2], [1], []]);
  // More than a call takes as arguments.
  const many: FittedTexts = { ...FIRST, places: Array.from({ length: 200_000 }, () => [0, 1]) };
  expect(seenSamples([many], 'b.txt', reader).learnt).toHaveLength(200_000);
  const other = { ...FIRST, sha256: 'b' };
  expect(found(other)).toEqual([[], [], [other]]);
});

test('a measurement on samples that were seen is warned of, with their number', () => {
  const warningsOf = (texts: FittedTexts, measured?: readonly TokenSample[]) =>
    seenWarnings({ path: 'm.onnx', fitted: [texts] }, 'b.txt', reader, measured);
  const words = (seen: string) => [
    `b.txt: m.onnx was fitted to ${seen} samples that it is measured on, or chosen by them: what it gives on them is too good`,
  ];
  expect(warningsOf(FIRST)).toEqual(words('2 of the 3'));
  expect(warningsOf({ ...FIRST, places: [[0, 1]], watched: [[2, 3]] })).toEqual(words('2 of the 3'));
  expect(warningsOf(FIRST, [sample(2), sample(4)])).toEqual(words('1 of the 2'));
  expect(warningsOf(FIRST, [sample(3)])).toEqual([]);
  expect(warningsOf({ ...FIRST, sha256: 'b' })).toEqual([]);
});
