import type { JsonObject } from './formats/json.ts';
import type { Tensor } from './tensor.ts';

/** Named weights with what lies beside them: what four of the source formats hold, in place of a graph. */
export interface Checkpoint {
  /** The weights file as the user named it, for messages. */
  readonly path: string;
  /** In the order of the file. Names of Hugging Face's PyTorch modules, whatever the source. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly configPath: string;
  readonly config: JsonObject;
  /** The bytes of vocab.txt. */
  readonly vocabulary: Uint8Array | undefined;
  readonly tokenizerConfig: JsonObject | undefined;
  /** Lets go of the open files; the tensors cannot be read afterwards. */
  close(): void;
}
