import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll } from 'vitest';

/** What fixtures/make-delta.mjs writes: a file as ranges [from, length] of a sound one and the bytes (base64) between them. */
interface Delta {
  readonly base: string;
  readonly parts: readonly (string | readonly [from: number, length: number])[];
}

const DELTA = /\.delta\.json(\.gz)?$/;
const PACKED = /\.delta\.json(\.gz)?$|\.gz$/;

const folders = new Map<string, string>();

afterAll(() => {
  for (const folder of folders.values()) rmSync(join(folder, '..'), { recursive: true });
});

/**
 * A folder below fixtures/ with its files as the tools wrote them. Where the project keeps some as `.gz` or `.delta.json`,
 * it is a copy of the same name in a temporary folder, gone when the test file is done; made once a test file.
 */
export function unpacked(path: string): string {
  const known = folders.get(path);
  if (known !== undefined) return known;
  const packed = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((file) => PACKED.test(file));
  if (packed.length === 0) return path;
  const folder = join(mkdtempSync(join(tmpdir(), 'mbert-fixture-')), basename(path));
  folders.set(path, folder);
  cpSync(path, folder, { recursive: true });
  for (const file of packed) {
    const bytes = readPacked(join(path, file));
    writeFileSync(join(folder, file.replace(PACKED, '')), DELTA.test(file) ? apply(bytes) : bytes);
    rmSync(join(folder, file));
  }
  return folder;
}

/** A file's bytes, out of gzip where it is kept so. */
function readPacked(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

function apply(json: Buffer): Buffer {
  const { base, parts } = JSON.parse(json.toString()) as Delta;
  const path = join('fixtures', base);
  const bytes = readPacked(existsSync(path) ? path : `${path}.gz`);
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part, 'base64');
      const [from, length] = part;
      return bytes.subarray(from, from + length);
    }),
  );
}
