import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { GraphSource } from '../../../src/importers/importer.ts';
import { openSource } from '../../../src/importers/index.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { fixture, readArray, readManifest } from '../../models/corpus.ts';
import { row } from '../../runtimes/oracle.ts';
import { unpacked } from '../../unpacked.ts';

/** Where each format's model lies in a fixture. */
const PLACES = ['model.tflite', 'tfjs', 'saved_model/1', 'saved_model', 'frozen_graph.pb'];

/** The fixtures that TensorFlow's tools wrote, but for the one without weights. */
export const CASES = readdirSync('fixtures').filter(
  (name) => PLACES.some((place) => isThere(join(fixture(name), place))) && name !== 'tfjs-qna',
);

const folders: string[] = [];
const sources: GraphSource[] = [];

afterAll(() => {
  for (const source of sources.splice(0)) source.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function isThere(path: string): boolean {
  return existsSync(path) || existsSync(`${path}.gz`);
}

/** The path of a fixture's model; large files are kept compressed and unpacked in a temporary folder. */
export function modelPath(name: string): string {
  const folder = unpacked(fixture(name));
  return join(folder, PLACES.find((each) => existsSync(join(folder, each))) ?? '');
}

/** Gone when the test file is done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-tensorflow-'));
  folders.push(folder);
  return folder;
}

/** Opens a source that holds a graph; its files close with the test file. */
export async function openGraph(path: string): Promise<GraphSource> {
  const source = await openSource(path);
  if (source.yields !== 'graph') throw new Error(`${path} holds weights`);
  sources.push(source);
  return source;
}

export async function openCase(name: string): Promise<Graph> {
  return (await openGraph(modelPath(name))).graph;
}

type Run = (feeds: ReadonlyMap<string, Tensor>) => Promise<ReadonlyMap<string, Tensor>> | ReadonlyMap<string, Tensor>;

/** Two rows of the oracle's four tell as much as all. */
const ROWS = 2;

/** The largest difference from the oracle over all outputs, as a multiple of what the manifest tolerates. Models take a batch of one. */
export async function worstDifference(name: string, graph: Graph, run: Run): Promise<number> {
  const {
    inputs,
    expected,
    tolerance,
    output_names: names = {},
  } = readManifest(name) as ReturnType<typeof readManifest> & {
    readonly output_names?: { readonly [output: string]: string };
  };
  let worst = 0;
  for (let i = 0; i < ROWS; i++) {
    const feeds = new Map(
      graph.inputs.map((input) => [input.name, row(readArray(name, inputs[input.name]?.file ?? ''), i)]),
    );
    const results = await run(feeds);
    for (const output of graph.outputs) {
      const meaning = names[output.name] ?? output.name;
      const wanted = readF32(row(readArray(name, expected[meaning]?.file ?? ''), i));
      const found = readF32(results.get(output.name) as Tensor);
      if (found.length !== wanted.length)
        throw new Error(`${output.name} has ${found.length} values of ${wanted.length}`);
      wanted.forEach((value, at) => {
        const difference = Math.abs(value - (found[at] as number)) / (tolerance[meaning]?.atol ?? 0);
        if (!(difference <= worst)) worst = difference;
      });
    }
  }
  return worst;
}
