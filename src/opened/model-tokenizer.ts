import { MbertError } from '../errors.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import { readTokenizer, type Tokenizer } from '../samples/tokenizer.ts';
import type { OpenedModel } from './opened-model.ts';

/** The model's tokenizer, or one that the user named in its place, for which the model says what its own folder does not. */
export function tokenizerOf(
  { tokenizer }: Pick<OpenedModel, 'tokenizer'>,
  given: TokenizerFiles | undefined,
): TokenizerFiles {
  if (given === undefined) return tokenizer;
  return { ...given, config: given.config ?? tokenizer.config, lowerCase: tokenizer.lowerCase };
}

export function hasVocabulary({ tokenizer, vocabulary }: TokenizerFiles): boolean {
  return tokenizer !== undefined || vocabulary !== undefined;
}

/** Reads a tokenizer, or what is wrong with it: that stops texts only, token ids are read all the same. */
export function tokenizerOrError(files: TokenizerFiles): Tokenizer | MbertError | undefined {
  try {
    return readTokenizer(files);
  } catch (cause) {
    if (cause instanceof MbertError) return cause;
    throw cause;
  }
}
