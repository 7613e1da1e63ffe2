import type { Origin } from '../formats/checkpoint.ts';
import type { Node } from '../ir/graph.ts';
import type { Builder, MaskStyle } from './builder.ts';
import type { CountClaim, SizeClaim } from './claims.ts';
import type { ConfigReader } from './config.ts';

/** A family of models: how its config.json reads, and what graph its weights make. */
export interface Architecture {
  /** Value of model_type in config.json, also the module under which a model with a head keeps the encoder. */
  readonly modelType: string;
  readonly takesTokenTypes: boolean;
  /** Module in which masked-LM heads have their weights. */
  readonly predictions: string;
  /** Reads a config.json; `origin` decides on defaults, epsilons and activations. */
  read(config: ConfigReader, origin: Origin): Model;
}

/** A model whose config.json is read. `scope` is the encoder's prefix: `mobilebert.`, or nothing for a bare model. */
export interface Model {
  readonly maxPositions: number;
  readonly mask: MaskStyle;
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
}
