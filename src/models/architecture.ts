import type { ModuleChain, Origin } from '../formats/checkpoint.ts';
import type { Node } from '../ir/graph.ts';
import type { Dim } from '../ir/shape.ts';
import type { Builder, MaskStyle } from './builder.ts';
import type { CountClaim, SizeClaim } from './claims.ts';
import type { ConfigReader } from './config.ts';

/** A model's task, which is the head that sits on the encoder. */
export type Task =
  | 'qa'
  | 'sequence-classification'
  | 'token-classification'
  | 'masked-lm'
  | 'next-sentence'
  | 'multiple-choice'
  | 'pretraining'
  | 'replaced-tokens'
  | 'sentence-embedding'
  | 'features';

/** Tasks that transformers has in nearly every family. */
export const COMMON_TASKS: readonly Task[] = [
  'features',
  'sequence-classification',
  'token-classification',
  'qa',
  'masked-lm',
  'multiple-choice',
];

/** Tasks of families that are trained as BERT is, on pairs of sentences too. */
export const BERT_TASKS: readonly Task[] = [...COMMON_TASKS, 'next-sentence', 'pretraining'];

/** A family of models: how its config.json reads, and what graph its weights make. */
export interface Architecture {
  /** Value of model_type in config.json. */
  readonly modelType: string;
  /** Module under which a model with a head keeps the encoder. */
  readonly module: string;
  /** Name of that module in files of the model's own code, where that is not transformers. */
  readonly formerModule?: string;
  readonly takesTokenTypes: boolean;
  /** Tasks for which the family has heads; those of sentence-transformers go behind every encoder. */
  readonly tasks: readonly Task[];
  /** Module in which masked-LM heads have their weights. */
  readonly predictions: string;
  /** Tasks of classes, by the part of their names behind `For`, that have another head in this family. */
  readonly classTasks?: ReadonlyMap<string, Task>;
  /** Weights that only the head of one task has, besides those that heads of all families share. */
  readonly headWeights?: ReadonlyMap<string, Task>;
  /**
   * Reads a config.json; `origin` decides on defaults, epsilons and activations, `task` on which keys of heads matter.
   */
  read(config: ConfigReader, origin: Origin, task: Task): Model;
}

/** A model whose config.json is read. `scope` is the encoder's prefix: `mobilebert.`, or nothing for a bare model. */
export interface Model {
  readonly maxPositions: number;
  readonly mask: MaskStyle;
  /** Whether the model takes token types, where the config decides on it. */
  readonly takesTokenTypes?: boolean;
  sizes(scope: string): readonly SizeClaim[];
  counts(scope: string): Iterable<CountClaim>;
  /** Adds the encoder, which ends in the last hidden state, [rows, sequence, hidden]. */
  encode(builder: Builder, scope: string): Node;
  /** Adds what sentence-level heads read, [rows, hidden]. */
  pool(builder: Builder, scope: string, hidden: Node): Node;
  /** The bare model's second output, if it has one, and the weight without which it cannot be computed. */
  readonly pooler: { readonly weight: string | undefined } | undefined;
  /** Adds the scores of all words for every token, [rows, sequence, vocabulary]. */
  predict(builder: Builder, scope: string, hidden: Node): Node;
  /** Heads that are not the common ones. */
  readonly heads?: { readonly [T in Task]?: HeadBuilder };
}

/** Adds a head and the graph's outputs, under transformers' names. */
export type HeadBuilder = (input: HeadInput) => void;

/** Parts that a head is built from. */
export interface HeadInput {
  readonly builder: Builder;
  readonly model: Model;
  readonly scope: string;
  /** The last hidden state, [rows, sequence, hidden]. */
  readonly hidden: Node;
  /** Number of classes that config.json names, if it does. */
  readonly labelCount: number | undefined;
  /** Batch of the inputs: rows = batch · choices where a task has choices. */
  readonly batch: Dim;
  readonly choices: Dim;
  /** Modules that sentence-transformers runs behind the encoder. */
  readonly chain: ModuleChain | undefined;
  /** Torch's class of the activation that makes scores of logits, where a model has one. */
  readonly scoreActivation: string | undefined;
  /** Takes a warning about a file, worded `file: part: problem`. */
  readonly warn: (problem: string) => void;
}
