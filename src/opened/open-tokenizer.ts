import { MbertError } from '../errors.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import { tokenizerFilesAt } from '../importers/tokenizer-files.ts';
import { readTokenizer, type Tokenizer } from '../samples/tokenizer.ts';

/**
 * Opens the tokenizer of a model's folder, or of a tokenizer.json or vocab.txt of any name with the settings beside it.
 * Throws NOT_FOUND where there is none, and what reading throws.
 */
export function openTokenizer(path: string): Tokenizer {
  const tokenizer = readTokenizer(tokenizerFilesAt(path));
  if (tokenizer !== undefined) return tokenizer;
  throw new MbertError('NOT_FOUND', `${path}: there is no tokenizer.json and no vocab.txt`);
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
