import type { Tensor } from '../ir/tensor.ts';
import type { JsonObject } from './json.ts';
import type { TokenizerFiles } from './tokenizer-files.ts';

/**
 * Code that computes the model: transformers in PyTorch, transformers in Keras, or google-research in TF1. Names and
 * layouts of the weights depend on it, and so do epsilons, masks and what `gelu` means.
 */
export type Origin = 'torch' | 'keras' | 'google';

/** Named weights with the files beside them, which four of the source formats hold in place of a graph. */
export interface Checkpoint {
  /** Path of the weights file as the user named it, for messages. */
  readonly path: string;
  readonly origin: Origin;
  /** Weights in the order of the file, with the names and layouts that `origin` has. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly configPath: string;
  readonly config: JsonObject;
  readonly tokenizer: TokenizerFiles;
  /** Decisions that the files do not spell out, worded `file: part: problem`. */
  readonly notes: readonly string[];
  /** Closes the files; the tensors cannot be read afterwards. */
  close(): void;
}
