import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
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
