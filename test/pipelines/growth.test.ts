import { join } from 'node:path';
import { expect, test } from 'vitest';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { fixture } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** What is said about the sizes of weights that the source stores in 4 bits. */
async function said(output: string): Promise<readonly string[]> {
  const source = join(unpacked(fixture('report-c4-matmulnbits')), 'm.onnx');
  const { warnings } = await convert({ source, output: join(folder, output), batch: 1, sequenceLength: 8 });
  return warnings.filter((warning) => warning.includes('of weights'));
}

test('integers that become floats are told with both sizes', async () => {
  expect(await said('m.tflite')).toEqual([
    expect.stringMatching(/m\.tflite: 87\.3 kB of weights, in the source 37\.2 kB: tflite has no form for some/),
  ]);
});

test('nothing is said where they stay integers', async () => {
  expect(await said('m.onnx')).toEqual([]);
});
