import type { Tensor } from '../ir/tensor.ts';
import type { JsonObject } from './json.ts';

/**
 * Whose code computes the model: transformers in PyTorch, transformers in Keras, or google-research in TF1. Names and
 * layouts of the weights depend on it, and so do epsilons, masks and what `gelu` means.
 */
export type Origin = 'torch' | 'keras' | 'google';

/** Named weights with what lies beside them: what four of the source formats hold, in place of a graph. */
export interface Checkpoint {
  /** The weights file as the user named it, for messages. */
  readonly path: string;
  readonly origin: Origin;
  /** In the order of the file, with the names and layouts that `origin` has. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly configPath: string;
  readonly config: JsonObject;
  /** The bytes of vocab.txt. */
  readonly vocabulary: Uint8Array | undefined;
  readonly tokenizerConfig: JsonObject | undefined;
  /** What was decided that the files do not say; worded `file: part: problem`. */
  readonly notes: readonly string[];
  /** Lets go of the open files; the tensors cannot be read afterwards. */
  close(): void;
}
