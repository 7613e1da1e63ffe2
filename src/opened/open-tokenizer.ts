import { MbertError } from '../errors.ts';
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
