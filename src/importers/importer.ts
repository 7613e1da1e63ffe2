import type { Checkpoint } from '../formats/checkpoint.ts';
import type { ModelFile } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';

/** Weights, from which models/ builds the graph. */
export interface CheckpointSource {
  readonly yields: 'checkpoint';
  readonly checkpoint: Checkpoint;
}

/** A whole graph, as its exporter left it: `raise` in passes/raise.ts finds norms, activations and attention in it. */
export interface GraphSource {
  readonly yields: 'graph';
  /** The file as the user named it, for messages. */
  readonly path: string;
  readonly graph: Graph;
  /** The bytes of vocab.txt and the names of classes, where the file holds them. */
  readonly vocabulary?: Uint8Array | undefined;
  readonly labels?: readonly string[] | undefined;
  /** What the file says of itself, as its opset and its producer. */
  readonly facts?: ReadonlyMap<string, string> | undefined;
  /** Lets go of the open files; constants cannot be read afterwards. */
  close(): void;
}

/** What a source turned out to hold. */
export type Source = CheckpointSource | GraphSource;

/** One source format. */
export interface Importer {
  readonly name: string;
  /** Which of a folder's files (sorted names) it reads, if any. */
  find(names: readonly string[]): string | undefined;
  /** Whether a file is of this format, judged by its first `HEAD_BYTES` bytes. */
  detect(head: Uint8Array, file: ModelFile): boolean;
  /** Takes over the open file: it is closed by the source, or at once where reading fails. */
  read(file: ModelFile): Promise<Source>;
}

/** Enough for every magic number and for the first key of a JSON index. */
export const HEAD_BYTES = 512;
