import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll } from 'vitest';
import type { GraphSource } from '../../../src/importers/importer.ts';
import { openSource } from '../../../src/importers/index.ts';
import { fixture } from '../../models/corpus.ts';

/** The folders of fixtures/ that hold an ONNX model, compressed or not. */
export const ONNX_FIXTURES = readdirSync('fixtures').filter((name) =>
  ['model.onnx', 'model.onnx.gz'].some((file) => existsSync(join(fixture(name), file))),
);

const unpacked: string[] = [];
const opened: GraphSource[] = [];

afterAll(() => {
  for (const source of opened.splice(0)) source.close();
  for (const folder of unpacked.splice(0)) rmSync(folder, { recursive: true });
});

/** A folder with the model's files as its exporter wrote them. */
export function unpack(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-onnx-'));
  unpacked.push(folder);
  for (const file of readdirSync(fixture(name)).filter((each) => each.startsWith('model.'))) {
    const bytes = readFileSync(join(fixture(name), file));
    writeFileSync(join(folder, file.replace(/\.gz$/, '')), file.endsWith('.gz') ? gunzipSync(bytes) : bytes);
  }
  return folder;
}

/** The fixture's graph as it is imported; its files close with the test. */
export async function importFixture(name: string): Promise<GraphSource> {
  const source = await openSource(unpack(name));
  if (source.yields !== 'graph') throw new Error(`${name} holds no graph`);
  opened.push(source);
  return source;
}
