import type { Origin } from '../formats/checkpoint.ts';
import type { Node } from '../ir/graph.ts';
import type { Dim } from '../ir/shape.ts';
import type { Builder, MaskStyle } from './builder.ts';
import type { CountClaim, SizeClaim } from './claims.ts';
import type { ConfigReader } from './config.ts';

/** What a model is for: which head sits on the encoder. */
export type Task =
  | 'qa'
  | 'sequence-classification'
  | 'token-classification'
  | 'masked-lm'
  | 'next-sentence'
  | 'multiple-choice'
  | 'pretraining'
  | 'replaced-tokens'
  | 'features';

/** One family of models: how its config.json reads, and what graph its weights make. */
export interface Architecture {
  /** config.json's model_type. */
  readonly modelType: string;
  /** The module under which a model with a head keeps the encoder. */
  readonly module: string;
  /** What it is called in files of the model's own code, where that is not transformers. */
  readonly formerModule?: string;
  readonly takesTokenTypes: boolean;
  /** Where masked-LM heads have their weights. */
  readonly predictions: string;
  /** Tasks of classes, by what comes after `For` in their names, that mean another head elsewhere. */
  readonly classTasks?: ReadonlyMap<string, Task>;
  /** Weights that only the head of one task has, besides those that heads of all families share. */
  readonly headWeights?: ReadonlyMap<string, Task>;
  /** `origin` decides on defaults, epsilons and activations, `task` on which keys of heads matter. */
  read(config: ConfigReader, origin: Origin, task: Task): Model;
}

/** A model whose config.json is read. `scope` is the encoder's prefix: `mobilebert.`, or nothing for a bare model. */
export interface Model {
  readonly maxPositions: number;
  readonly mask: MaskStyle;
  /** Where the config decides on it. */
  readonly takesTokenTypes?: boolean;
  sizes(scope: string): readonly SizeClaim[];
  counts(scope: string): Iterable<CountClaim>;
  /** The last hidden state, [rows, sequence, hidden]. */
  encode(builder: Builder, scope: string): Node;
  /** What sentence-level heads read, [rows, hidden]. */
  pool(builder: Builder, scope: string, hidden: Node): Node;
  /** Whether the bare model has a second output, and the weight without which it cannot be computed. */
  readonly pooler: { readonly weight: string | undefined } | undefined;
  /** Scores of all words for every token, [rows, sequence, vocabulary]. */
  predict(builder: Builder, scope: string, hidden: Node): Node;
  /** Heads that are not the common ones. */
  readonly heads?: { readonly [T in Task]?: HeadBuilder };
}

/** Adds a head and the graph's outputs, under transformers' names. */
export type HeadBuilder = (input: HeadInput) => void;

/** What a head is put on. */
export interface HeadInput {
  readonly builder: Builder;
  readonly model: Model;
  readonly scope: string;
  /** [rows, sequence, hidden]. */
  readonly hidden: Node;
  /** The number of classes that config.json names, if it does. */
  readonly labelCount: number | undefined;
  /** rows = batch · choices where a task has choices, else the batch. */
  readonly batch: Dim;
  readonly choices: Dim;
  readonly warn: (problem: string) => void;
}
