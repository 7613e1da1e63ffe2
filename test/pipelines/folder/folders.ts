import { cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fixture } from '../../models/corpus.ts';
import { unpacked } from '../../unpacked.ts';

/** A model of two layers with a vocabulary of 600 words. */
export const ENCODER = fixture('minilm-features');

/** Files of `names` in `folder`, with `texts` beside them, by their paths. */
export function folderWith(folder: string, texts: { readonly [path: string]: string }): string {
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** A sentence-transformers folder with a tokenizer, as fixtures have none; `encoder` is the folder of its encoder. */
export function embedderIn(folder: string, name: string, encoder = ''): string {
  cpSync(unpacked(fixture(name)), folder, { recursive: true });
  for (const file of ['vocab.txt', 'tokenizer_config.json']) cpSync(join(ENCODER, file), join(folder, encoder, file));
  return folder;
}

/** All files below a folder, by their paths with slashes, sorted. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile())
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}
