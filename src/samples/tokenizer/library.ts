import { Tokenizer } from '@huggingface/tokenizers';
import { MbertError } from '../../errors.ts';

/** Parts of the library that are used; its own types do not resolve under Node's rules. */
export interface Library {
  readonly normalizer: { readonly pattern?: RegExp | null } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string, options: { readonly section_index: number }): string[] } | null;
  readonly model: { readonly tokens_to_ids: ReadonlyMap<string, number>; _call(words: readonly string[]): string[] };
}

export interface LibraryParts {
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly model?: unknown;
}

/** A model of no use, for where only the other parts are wanted. */
const NO_MODEL = { type: 'WordPiece', unk_token: '', vocab: {} };

/** Makes parts of a tokenizer.json. Throws UNSUPPORTED, under the name `what`, for types that the library does not have. */
export function openLibrary(
  what: string,
  { normalizer = null, pre_tokenizer = null, model = NO_MODEL }: LibraryParts,
): Library {
  const rest = { version: '1.0', added_tokens: [], post_processor: null, decoder: null };
  try {
    return new Tokenizer({ ...rest, normalizer, pre_tokenizer, model }, {});
  } catch (cause) {
    // Plain errors for unknown types, and for patterns that JavaScript cannot run.
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new MbertError('UNSUPPORTED', `${what}: ${problem}`, { cause });
  }
}
