import { join } from 'node:path';
import type { NamedBytes, TokenizerFiles } from '../formats/tokenizer-files.ts';
import { listFolder, readWhole } from '../io/files.ts';
import { readSideFile } from './side-files.ts';

type Part = Exclude<keyof TokenizerFiles, 'lowerCase'>;

/** Names of the files, as transformers and sentence-transformers save them. */
export const tokenizerFileNames: { readonly [P in Part]: string } = {
  tokenizer: 'tokenizer.json',
  vocabulary: 'vocab.txt',
  config: 'tokenizer_config.json',
  specialTokens: 'special_tokens_map.json',
  addedTokens: 'added_tokens.json',
  sentences: 'sentence_bert_config.json',
};

/** Reads the tokenizer's files beside a model. */
export function tokenizerFilesBeside(modelPath: string): TokenizerFiles {
  const files: { -readonly [P in Part]?: NamedBytes } = {};
  for (const part of Object.keys(tokenizerFileNames) as Part[]) {
    const file = readSideFile(modelPath, tokenizerFileNames[part]);
    if (file !== undefined) files[part] = file;
  }
  return files;
}

/**
 * Reads the tokenizer of a folder, or that of a vocab.txt or tokenizer.json of any name with the settings beside it.
 * Throws what reading throws.
 */
export function tokenizerFilesAt(path: string): TokenizerFiles {
  if (listFolder(path).isFolder) return tokenizerFilesBeside(join(path, tokenizerFileNames.vocabulary));
  const given = { what: path, bytes: readWhole(path) };
  const part = startsAsJson(given.bytes) ? 'tokenizer' : 'vocabulary';
  return { ...tokenizerFilesBeside(path), tokenizer: undefined, vocabulary: undefined, [part]: given };
}

/** True for the start of a JSON object with something in it; a vocabulary has one token a line. */
function startsAsJson(bytes: Uint8Array): boolean {
  return /^\s*\{\s*"/.test(
    Buffer.from(bytes.subarray(0, 256))
      .toString('latin1')
      .replace(/^\u00ef\u00bb\u00bf/, ''),
  );
}
