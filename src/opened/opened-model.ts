import type { JsonObject } from '../formats/json.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import type { Graph } from '../ir/graph.ts';
import type { PassObserver } from '../ir/pass.ts';
import type { LogitsKind, Task } from '../models/index.ts';
import type { ModelOptions } from '../options/model.ts';
import type { ShapeOptions } from '../options/shape.ts';
import type { Target } from '../passes/index.ts';
import type { FittedTexts } from './fitted-texts.ts';

/** Options for opening a model. */
export interface OpenOptions extends ModelOptions {
  /** Finds high-level ops in a graph; without effect on checkpoints. Default true. */
  readonly raise?: boolean | undefined;
  /** Graphs only. True keeps integers as they are stored; otherwise passes get the real numbers that these stand for. */
  readonly keepsIntegers?: boolean | undefined;
  /** Hear the passes that find them. */
  readonly observers?: readonly PassObserver[] | undefined;
}

/** A model ready for passes and exporters. */
export interface OpenedModel {
  /** Path of the file that holds its weights: config and tokenizer lie beside it. */
  readonly path: string;
  /** Builds a new graph at each call, as passes change what they run on. */
  build(target: Target, shapes?: ShapeOptions): Graph;
  /** Builds a new graph as the source has it, with symbols for dimensions that it does not fix. */
  reference(): Graph;
  /**
   * Builds the same as its source computes it, where that hides padding by a number that files cannot hold: they are
   * compared with this. Absent where `reference` is that.
   */
  asComputed?: (() => Graph) | undefined;
  /** The task of the head; undefined where a graph's outputs do not tell. */
  readonly task: Task | undefined;
  /** Model family of a checkpoint, or the name of a graph. */
  readonly architecture: string;
  /** Longest sequence, in tokens. */
  readonly maxPositions: number;
  /** Usual length of a sequence, in tokens, where the source says one. */
  readonly usualLength?: number | undefined;
  /** What a classifier's logits are where softmax does not make probabilities of them. */
  readonly logitsKind?: LogitsKind | undefined;
  /** Class names. */
  readonly labels: readonly string[] | undefined;
  /** The config.json beside it, where there is one that can be read. */
  readonly config?: JsonObject | undefined;
  /** Files that say how texts become tokens. */
  readonly tokenizer: TokenizerFiles;
  /** Id of padding, as the model's config has it: some models tell padding by it. */
  readonly pad: number;
  /** The source's path, where a runtime can run the file as it is. */
  readonly runnable?: string | undefined;
  /** Bytes of the weights where some of them are stored as integers: what is written should not take much more. */
  readonly integerBytes?: number | undefined;
  /** Names of passes that were already applied to its graphs. */
  readonly applied?: readonly string[] | undefined;
  /** Texts that this call has made its weights with, besides those that its source says: see `fittedTexts`. */
  readonly fitted?: readonly FittedTexts[] | undefined;
  /** Where tokens were taken out: old ids by new ones. Its reference still reads the old ones. */
  readonly kept?: readonly number[] | undefined;
  /** `checkpoint`, or the format of a graph: `onnx`, `tflite`, `tfjs`, `tensorflow`. */
  readonly format: string;
  /** What the source states of itself: producer, opset, properties. */
  readonly facts?: ReadonlyMap<string, string> | undefined;
  readonly warnings: readonly string[];
  /** Names of weights that the model does not use. */
  readonly unused: readonly string[];
  close(): void;
}
