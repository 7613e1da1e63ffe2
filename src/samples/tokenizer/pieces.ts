import type { TokenizerDefinition } from './definition.ts';
import { openLibrary } from './library.ts';

/** Cuts normalized text into token ids; `place` is that of the section in its text. */
export type PieceCutter = (text: string, place: number) => number[];

/**
 * The library's pre-tokenizer and model. The model gets words one by one, as it would join unknown tokens of several.
 * Throws UNSUPPORTED for a pre-tokenizer that the library does not have.
 */
export function pieceCutter({ what, preTokenizer, model, ids }: TokenizerDefinition): PieceCutter {
  const library = openLibrary(what, { pre_tokenizer: preTokenizer, model });
  const { tokens_to_ids: idOf } = library.model;
  return (text, place) => {
    const words = library.pre_tokenizer?.pre_tokenize(text, { section_index: place }) ?? [text];
    return words.flatMap((word) =>
      library.model._call([word]).flatMap((token) => idOf.get(token) ?? ids.unknown ?? []),
    );
  };
}
