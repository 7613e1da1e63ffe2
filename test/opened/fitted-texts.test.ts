import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { safetensorsChunks } from '../../src/formats/safetensors-encode.ts';
import { type FittedTexts, fittedMetadata, fittedTexts, placesOf } from '../../src/opened/fitted-texts.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();
const FIRST: FittedTexts = { source: 'a.txt', sha256: 'a', count: 2, seed: null };
const TRAINED: FittedTexts = { ...FIRST, seed: 7, places: [[0, 2]], watched: [[4, 5]] };
let count = 0;

function checkpointWith(metadata: { readonly [key: string]: string }) {
  const path = join(folder, `${count++}.safetensors`);
  writeFileSync(path, Buffer.concat([...safetensorsChunks(new Map(), metadata)]));
  return { path, format: 'checkpoint' };
}

test('a checkpoint says what it was fitted to and trained on, in the order of the steps', () => {
  const model = checkpointWith(fittedMetadata([FIRST, TRAINED]));
  expect(fittedTexts(model)).toEqual([FIRST, TRAINED]);
  expect(fittedTexts({ ...model, fitted: [FIRST] })).toEqual([FIRST, TRAINED, FIRST]);
  expect(fittedMetadata([])).toEqual({});
  expect(fittedTexts(checkpointWith({ format: 'pt' }))).toEqual([]);
  expect(fittedTexts({ path: 'pytorch_model.bin', format: 'checkpoint' })).toEqual([]);
});

test('a file says so in its properties', () => {
  const facts = new Map(Object.entries(fittedMetadata([TRAINED])));
  expect(fittedTexts({ path: 'm.onnx', format: 'onnx', facts })).toEqual([TRAINED]);
  expect(fittedTexts({ path: 'm.onnx', format: 'onnx' })).toEqual([]);
});

test.each([
  ['{}', 'is no list'],
  ['[3]', 'does not say which texts of which file'],
  ['[{ "source": "a", "sha256": "b", "count": 0.5, "seed": null }]', 'does not say which texts of which file'],
  ['[{ "source": "a", "sha256": "b", "count": 1, "seed": null, "places": [3] }]', 'does not say which texts'],
  ['[{ "source": "a", "sha256": "b", "count": 1, "seed": null, "places": [[3, 2]] }]', 'does not say which texts'],
  ['[{ "source": "a", "sha256": "b", "count": 1, "seed": null, "watched": [[0, -1]] }]', 'does not say which texts'],
  ['[', ''],
])('%s is malformed', (text, message) => {
  expect(() => fittedTexts(checkpointWith({ 'mbert.fitted': text }))).toThrow(
    expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining(message) }),
  );
});

test('numbers are places, neighbours being one', () => {
  expect(placesOf([5, 0, 1, 9, 2])).toEqual([
    [0, 3],
    [5, 6],
    [9, 10],
  ]);
  expect(placesOf([])).toEqual([]);
});
