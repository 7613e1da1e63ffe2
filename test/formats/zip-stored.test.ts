import { unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import { storedZip } from '../../src/formats/zip-stored.ts';

const entries = [
  { name: 'vocab.txt', bytes: new TextEncoder().encode('123456789') },
  { name: 'größe.txt', bytes: new Uint8Array(0) },
];

test('another reader finds the same files', () => {
  const files = unzipSync(storedZip(entries, 0));
  expect(Object.entries(files).map(([name, bytes]) => ({ name, bytes: new Uint8Array(bytes) }))).toEqual(entries);
});

test('carries the checksum that the standard gives for 123456789', () => {
  const zip = storedZip(entries, 0);
  expect(new DataView(zip.buffer, zip.byteOffset).getUint32(14, true)).toBe(0xcbf43926);
});
