import { statSync } from 'node:fs';
import { MbertError } from '../../errors.ts';
import type { GraphSource } from '../../importers/importer.ts';
import { openSource } from '../../importers/index.ts';
import { decodeText } from '../../io/bytes.ts';
import { listFolder, openFile } from '../../io/files.ts';
import { digest, FINGERPRINT_DIGITS } from '../../ir/fingerprint.ts';
import type { Graph } from '../../ir/graph.ts';
import { parseGraph } from '../../ir/text.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import { fromCheckpoint } from '../../opened/checkpoint-model.ts';
import { graphFormat } from '../../opened/graph-model.ts';
import { tokenizerFacts } from '../../samples/tokenizer-facts.ts';

/** One of two models to compare. */
export interface DiffSide {
  readonly path: string;
  /** Format of the model: `checkpoint`, `text` or the format of a graph, as `onnx`, `tflite`, `tfjs`, `tensorflow`. */
  readonly format: string;
  /** The graph as the source has it; a checkpoint's is built as for ONNX, with batch 1 and any length. */
  readonly graph: Graph;
  /** The graph with symbols for all dimensions that are not fixed. */
  readonly reference: Graph;
  /**
   * Builds a checkpoint's graph for a known length, where families compute in other ways; undefined for a length that is
   * too long.
   */
  readonly atLength?: (sequenceLength: number) => Graph | undefined;
  /** The task of a checkpoint's head, and the kind of its logits; undefined for graphs. */
  readonly task?: Task | undefined;
  readonly logitsKind?: LogitsKind | undefined;
  /** Metadata that any format may state: labels, vocabulary, task. */
  readonly meaning: ReadonlyMap<string, string>;
  /** Metadata that this format states besides: opset, producer. */
  readonly facts: ReadonlyMap<string, string>;
  /** Size of the file; undefined for a folder. */
  readonly fileBytes: number | undefined;
  readonly warnings: readonly string[];
  close(): void;
}

/** Opens a source of any format, or graph text. `task` is for checkpoints. Throws what the importers throw. */
export async function openSide(path: string, task: Task | undefined): Promise<DiffSide> {
  const { isFolder } = listFolder(path);
  const fileBytes = isFolder ? undefined : statSync(path).size;
  if (!isFolder) {
    const text = readGraphText(path);
    if (text !== undefined) return textSide(path, text, fileBytes);
  }
  const source = await openSource(path);
  if (source.yields === 'graph') return graphSide(source, path, fileBytes);
  const { checkpoint } = source;
  try {
    const model = fromCheckpoint(checkpoint, { task });
    const { labels, tokenizer, warnings, close } = model;
    const meaning = meaningOf({ labels, tokenizer });
    if (model.task !== undefined) meaning.set('task', model.task);
    const facts = new Map([
      ['architecture', model.architecture],
      ['lower case', String(tokenizerFacts(tokenizer).lowerCase)],
    ]);
    const [graph, reference] = [model.build('onnx'), model.reference()];
    const atLength = (sequenceLength: number) =>
      sequenceLength > model.maxPositions ? undefined : model.build('onnx', { batch: 'dynamic', sequenceLength });
    return {
      ...{ path, format: 'checkpoint', graph, reference, atLength },
      ...{ task: model.task, logitsKind: model.logitsKind },
      ...{ meaning, facts, fileBytes, warnings, close },
    };
  } catch (cause) {
    checkpoint.close();
    throw cause;
  }
}

function graphSide(source: GraphSource, path: string, fileBytes: number | undefined): DiffSide {
  return {
    path,
    format: graphFormat(source.path),
    graph: source.graph,
    reference: source.graph,
    meaning: meaningOf(source),
    facts: source.facts ?? new Map(),
    fileBytes,
    warnings: [],
    close: source.close,
  };
}

function meaningOf({ labels, tokenizer }: Pick<GraphSource, 'labels' | 'tokenizer'>): Map<string, string> {
  const { vocabulary } = tokenizerFacts(tokenizer);
  const meaning = new Map<string, string>();
  if (labels) meaning.set('labels', labels.join(', '));
  if (vocabulary) meaning.set('vocabulary', `#${digest(vocabulary).slice(0, FINGERPRINT_DIGITS)}`);
  return meaning;
}

/** Beginning by which graph text is told from anything else: `graph`, or comments before that. */
const TEXT_HEAD = /^(?:\/\/[^\n]*\n)*graph /;
const TEXT_START = /^(?:\/\/ |graph )/;
const HEAD_BYTES = 8;

/** Largest graph text that is read; that of 50,000 nodes takes 10 MB. */
const MAX_TEXT_BYTES = 2 ** 28;

function readGraphText(path: string): string | undefined {
  const file = openFile(path);
  try {
    const head = file.read(0, Math.min(HEAD_BYTES, file.size));
    if (!TEXT_START.test(Buffer.from(head).toString('latin1'))) return undefined;
    if (file.size > MAX_TEXT_BYTES) {
      throw new MbertError('MALFORMED', `${path}: ${file.size} bytes are over ${MAX_TEXT_BYTES} for graph text`);
    }
    const text = decodeText(file.read(0, file.size), path);
    return TEXT_HEAD.test(text) ? text : undefined;
  } finally {
    file.close();
  }
}

function textSide(path: string, text: string, fileBytes: number | undefined): DiffSide {
  const graph = parseText(path, text);
  const none = new Map<string, string>();
  const close = () => {};
  return { path, format: 'text', graph, reference: graph, meaning: none, facts: none, fileBytes, warnings: [], close };
}

function parseText(path: string, text: string): Graph {
  try {
    return parseGraph(text);
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    // A graph that breaks an op's rule is a bad file here, not a bug.
    throw new MbertError('MALFORMED', `${path}: ${cause.message}`, { cause });
  }
}
