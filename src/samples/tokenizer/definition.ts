import type { AddedToken } from './added-tokens.ts';
import type { Normalizer } from './normalizers.ts';
import type { SpecialName } from './settings.ts';
import type { Template } from './template.ts';

export type TokenizerKind = 'WordPiece' | 'BPE' | 'Unigram';

/** A tokenizer as its files say it, whichever they are. */
export interface TokenizerDefinition {
  /** Name of the vocabulary's file in errors. */
  readonly what: string;
  readonly kind: TokenizerKind;
  readonly normalize: Normalizer;
  /** Tokens of the model with their ids, without added ones. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  /** `pre_tokenizer` and `model` of a tokenizer.json, for the library. */
  readonly preTokenizer: unknown;
  readonly model: unknown;
  readonly template: Template;
  readonly ids: { readonly [S in SpecialName]: number | undefined };
}
