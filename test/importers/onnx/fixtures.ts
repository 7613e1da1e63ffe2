import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { GraphSource } from '../../../src/importers/importer.ts';
import { openSource } from '../../../src/importers/index.ts';
import { fixture } from '../../models/corpus.ts';
import { unpacked } from '../../unpacked.ts';

/** The folders of fixtures/ that hold a float ONNX model of MobileBERT, compressed or not. */
export const ONNX_FIXTURES = readdirSync('fixtures').filter(
  (name) =>
    !name.startsWith('family-') &&
    ['model.onnx', 'model.onnx.gz'].some((file) => existsSync(join(fixture(name), file))),
);

const opened: GraphSource[] = [];

afterAll(() => {
  for (const source of opened.splice(0)) source.close();
});

/** A folder with the model's files as its exporter wrote them. */
export function unpack(name: string): string {
  return unpacked(fixture(name));
}

/** The fixture's graph as it is imported; its files close with the test. */
export async function importFixture(name: string): Promise<GraphSource> {
  const source = await openSource(unpack(name));
  if (source.yields !== 'graph') throw new Error(`${name} holds no graph`);
  opened.push(source);
  return source;
}
