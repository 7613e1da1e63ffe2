import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { safetensorsChunks } from '../../../src/formats/safetensors-encode.ts';
import { fittedMetadata, fittedSamples, readFitted } from '../../../src/pipelines/evaluate/fitted-texts.ts';
import type { SampleFile, SampleManifest, TokenSample } from '../../../src/samples/open-samples.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const MANIFEST: SampleManifest = { source: 'a.txt', sha256: 'a', count: 2, seed: null };
let count = 0;

function weightsWith(metadata: { readonly [key: string]: string }): string {
  const path = join(folder, `${count++}.safetensors`);
  writeFileSync(path, Buffer.concat([...safetensorsChunks(new Map(), metadata)]));
  return path;
}

test('a checkpoint says what it was fitted to, in the order of the steps', () => {
  const shuffled = { ...MANIFEST, seed: 7 };
  const weights = weightsWith(fittedMetadata([MANIFEST, shuffled]));
  expect(readFitted({ weights, path: 'student' })).toEqual([MANIFEST, shuffled]);
  expect(fittedMetadata([])).toEqual({});
  expect(readFitted({ weights: weightsWith({ format: 'pt' }), path: 'student' })).toEqual([]);
  expect(readFitted({ weights: 'pytorch_model.bin', path: 'student' })).toEqual([]);
});

test('a file says what its passes were fitted to', () => {
  const facts = (fit: object) => new Map([['mbert.fit', JSON.stringify(fit)]]);
  const read = (fit: object) => readFitted({ weights: undefined, path: 'm.onnx', facts: facts(fit) });
  expect(read({ passes: [], calibration: MANIFEST })).toEqual([MANIFEST]);
  expect(read({ passes: [] })).toEqual([]);
  expect(readFitted({ weights: undefined, path: 'm.onnx' })).toEqual([]);
  expect(() => read({ calibration: { source: 'a.txt' } })).toThrow('m.onnx: mbert.fit: does not say which texts');
});

test.each([
  ['{}', 'is no list'],
  ['[3]', 'does not say which texts of which file'],
  ['[{ "source": "a", "sha256": "b", "count": 0.5, "seed": null }]', 'does not say which texts of which file'],
  ['[', ''],
])('%s is malformed', (text, message) => {
  const weights = weightsWith({ 'mbert.fitted': text });
  expect(() => readFitted({ weights, path: 'student' })).toThrow(
    expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining(message) }),
  );
});

test('its samples are the first in the order that it was fitted in, of the file of that hash', () => {
  const sample = (id: number): TokenSample => ({
    ...{ row: { inputIds: [id], tokenTypeIds: [0] }, label: undefined, texts: undefined },
  });
  const open = (seed: number | undefined): SampleFile => {
    const all = (seed === 7 ? [3, 1, 2] : [1, 2, 3]).map(sample);
    const take = (start: number, wanted: number) => {
      return { samples: all.slice(start, start + wanted), truncated: 0, warnings: [] };
    };
    return { path: 'a.txt', count: 3, sha256: 'a', warnings: [], taken: 'lines', take };
  };
  const found = (manifest: SampleManifest) => {
    const { samples, others } = fittedSamples([manifest], open);
    return [samples.map(({ row }) => row.inputIds[0]), others];
  };
  expect(found(MANIFEST)).toEqual([[1, 2], []]);
  expect(found({ ...MANIFEST, seed: 7 })).toEqual([[3, 1], []]);
  const other = { ...MANIFEST, sha256: 'b' };
  expect(found(other)).toEqual([[], [other]]);
});
