import type { Tensor } from '../ir/tensor.ts';
import type { JsonObject } from './json.ts';
import type { TokenizerFiles } from './tokenizer-files.ts';

/**
 * Code that computes the model: transformers in PyTorch, transformers in Keras, or google-research in TF1. Names and
 * layouts of the weights depend on it, and so do epsilons, masks and what `gelu` means.
 */
export type Origin = 'torch' | 'keras' | 'google';

/** A module that sentence-transformers runs behind an encoder. */
export interface SavedModule {
  /** Class as modules.json names it: `sentence_transformers.models.Pooling`. */
  readonly type: string;
  /** Folder of its files, in which its weights' names begin: `2_Dense`, for `2_Dense.linear.weight`. */
  readonly path: string;
  readonly configPath: string;
  /** Empty where it has no config. */
  readonly config: JsonObject;
}

/** Facts that a sentence-transformers folder states besides the encoder's own config. */
export interface ModuleChain {
  /** Path of modules.json. */
  readonly path: string;
  /** In the order in which they run, the encoder first. */
  readonly modules: readonly SavedModule[];
  /** Holds what config_sentence_transformers.json says: prompts, the model's kind. */
  readonly settings: JsonObject;
  readonly settingsPath: string;
}

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
  /** Modules behind the encoder, where the folder is one of sentence-transformers. */
  readonly moduleChain?: ModuleChain | undefined;
  /** PEFT's name of the task that an adapter in it was trained for: `SEQ_CLS`. */
  readonly taskType?: string | undefined;
  /** Decisions that the files do not spell out, worded `file: part: problem`. */
  readonly notes: readonly string[];
  /** Closes the files; the tensors cannot be read afterwards. */
  close(): void;
}
