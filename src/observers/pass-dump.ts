import { type Dirent, existsSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../errors.ts';
import { writeText } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';
import type { PassObserver, PassReport } from '../ir/pass.ts';
import { graphText } from '../ir/text.ts';
import { type Side, unifiedDiff } from './line-diff.ts';

/** `003-fold-no-norm.graph` and the diff beside it. */
const DUMP = /^\d{3,}-[\w-]+\.(?:graph|diff)$/;

/** Folders of dumps inside a folder of dumps. */
const FORMATS: readonly string[] = ['onnx', 'tflite'];

/**
 * Writes the graph's text before the first pass and behind each that changed something, numbered as the passes run, and
 * beside it a diff against the text before. A graph that begins anew (built for a format, or for a further try of a fit) is
 * written again where its text is another.
 */
export class PassDump implements PassObserver {
  readonly #folder: string;
  #count = 0;
  #last: Side | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** One that writes into a folder of its own in this one, and counts from 0. */
  forFormat(format: string): PassDump {
    return new PassDump(join(this.#folder, format));
  }

  starts(graph: Graph): void {
    const text = graphText(graph);
    if (text === this.#last?.text) return;
    this.#write(this.#last === undefined ? 'source' : 'built', text);
    this.#count++;
  }

  after(graph: Graph, name: string, { rewrites }: PassReport): void {
    if (rewrites > 0) this.#write(name, graphText(graph));
    this.#count++;
  }

  #write(what: string, text: string): void {
    if (text === this.#last?.text) return;
    const stem = `${String(this.#count).padStart(3, '0')}-${what.replaceAll(/[^\w-]+/g, '-')}`;
    const side = { name: `${stem}.graph`, text };
    writeText(join(this.#folder, side.name), `${text}\n`);
    if (this.#last) writeText(join(this.#folder, `${stem}.diff`), `${unifiedDiff(this.#last, side)}\n`);
    this.#last = side;
  }
}

/** Removes the dumps of an earlier run. Throws USAGE where the folder holds anything else, or is none. */
export function clearDumps(folder: string): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new MbertError('USAGE', `--dump-passes: ${folder} is not a folder`);
  const { dumps, folders, other } = contentsOf(folder);
  const inside = folders.map((name) => contentsOf(join(folder, name)));
  const foreign = [other, ...inside.flatMap((each) => [each.other, ...each.folders])].flat()[0];
  if (foreign !== undefined) {
    throw new MbertError('USAGE', `--dump-passes: ${folder}: ${foreign} is no dump of a pass`, {
      hint: 'name an empty folder, or one of earlier dumps',
    });
  }
  for (const path of [dumps, ...inside.map((each) => each.dumps)].flat()) rmSync(path);
  for (const name of folders) rmdirSync(join(folder, name));
}

/** The paths of dumps, and the names of folders that may hold some and of whatever else there is. */
function contentsOf(folder: string) {
  const entries = readdirSync(folder, { withFileTypes: true });
  const isDump = (entry: Dirent) => entry.isFile() && DUMP.test(entry.name);
  const isFormat = (entry: Dirent) => entry.isDirectory() && FORMATS.includes(entry.name);
  return {
    dumps: entries.filter(isDump).map(({ name }) => join(folder, name)),
    folders: entries.filter(isFormat).map(({ name }) => name),
    other: entries.filter((entry) => !isDump(entry) && !isFormat(entry)).map(({ name }) => name),
  };
}
