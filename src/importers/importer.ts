import type { Checkpoint } from '../formats/checkpoint.ts';
import type { JsonObject } from '../formats/json.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import type { ModelFile } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';

/** Weights from which src/models builds the graph. */
export interface CheckpointSource {
  readonly yields: 'checkpoint';
  readonly checkpoint: Checkpoint;
}

/** A whole graph as its exporter left it: `raise` finds norms, activations and attention in it. */
export interface GraphSource {
  readonly yields: 'graph';
  /** Path of the file as the user named it, for messages. */
  readonly path: string;
  readonly graph: Graph;
  /** True where a product of floats with integer weights rounds the floats, as TFLite's kernels do. */
  readonly roundsFloats?: boolean | undefined;
  /** Names of the classes, where the file itself holds them. */
  readonly labels?: readonly string[] | undefined;
  /** The tokenizer's files, the model's own before those beside it. */
  readonly tokenizer: TokenizerFiles;
  /** The config.json beside it, where there is one that can be read. */
  readonly config: JsonObject | undefined;
  /** Decisions that the files do not spell out, worded `file: part: problem`. */
  readonly notes?: readonly string[] | undefined;
  /** Facts that the file states of itself, as its opset and its producer. */
  readonly facts?: ReadonlyMap<string, string> | undefined;
  /** Closes the files; constants cannot be read afterwards. */
  close(): void;
}

/** An opened source: weights or a graph. */
export type Source = CheckpointSource | GraphSource;

/** One source format. */
export interface Importer {
  readonly name: string;
  /** Finds the file that it reads among the sorted names of a folder. */
  find(names: readonly string[]): string | undefined;
  /** Judges by its first `HEAD_BYTES` bytes whether a file is of this format. */
  detect(head: Uint8Array, file: ModelFile): boolean;
  /** Reads the open file, which is closed by the source, or at once where reading fails. */
  read(file: ModelFile): Promise<Source>;
}

/** Bytes by which formats are told: enough for every magic number and for the first key of a JSON index. */
export const HEAD_BYTES = 512;

/** Finds the first of the `usual` names that a folder has, else the only name in it that `isModel` accepts. */
export function findFile(
  names: readonly string[],
  usual: readonly string[],
  isModel: (name: string) => boolean,
): string | undefined {
  const known = usual.find((name) => names.includes(name));
  if (known !== undefined) return known;
  const others = names.filter(isModel);
  return others.length === 1 ? others[0] : undefined;
}
