import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeText } from '../../../src/io/files.ts';
import { allOrNothing } from '../../../src/pipelines/write/all-or-nothing.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const path = join(folder, 'm.onnx');
const plans = [{ path }];

test('a file that was there comes back where the work behind its writing fails', async () => {
  writeFileSync(path, 'verified');
  const work = async () => {
    writeText(path, 'unverified');
    throw new Error('there is no runtime');
  };
  await expect(allOrNothing(plans, work)).rejects.toThrow('there is no runtime');
  expect(readFileSync(path).toString()).toBe('verified');
  await allOrNothing(plans, async () => writeText(path, 'new'));
  expect(readFileSync(path).toString()).toBe('new');
  expect(readdirSync(folder)).toEqual(['m.onnx']);
});

test('a file that was not there is gone', async () => {
  const other = join(folder, 'deep', 'other.onnx');
  const failing = async () => {
    writeText(other, 'unverified');
    throw new Error('there is no runtime');
  };
  await expect(allOrNothing([{ path: other }], failing)).rejects.toThrow('there is no runtime');
  expect(existsSync(join(folder, 'deep'))).toBe(false);
});
