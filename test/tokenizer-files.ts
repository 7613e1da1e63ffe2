import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file's content: text, or an object that is written as JSON. */
export type Content = string | object;

/** Tokens of both cases, filled up to the 120 rows of the small fixtures' tables. */
export const WORDS: readonly string[] = filled([
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  '[MASK]',
  'hello',
  'Hello',
  'world',
]);

/** As many tokens as rows, those without a word named as BERT does. */
export function filled(tokens: readonly string[], rows = 120): readonly string[] {
  return Array.from({ length: rows }, (_, id) => tokens[id] ?? `[unused${id}]`);
}

export function vocabTxt(tokens: readonly string[] = WORDS): string {
  return `${tokens.join('\n')}\n`;
}

/** A tokenizer.json of WordPiece as transformers 5 saves it. */
export function wordPieceJson(lowerCase: boolean, tokens: readonly string[] = WORDS): object {
  const special = tokens.flatMap((content, id) =>
    /^\[[A-Z]+\]$/.test(content) ? [{ id, content, special: true }] : [],
  );
  return {
    version: '1.0',
    added_tokens: special,
    normalizer: { type: 'BertNormalizer', lowercase: lowerCase, strip_accents: null },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
    decoder: null,
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}

/** RoBERTa's special tokens and single letters, of which BPE makes `ab`. */
export function bpeJson(): object {
  const tokens = ['<s>', '<pad>', '</s>', '<unk>', '<mask>', 'a', 'b', 'c', 'Ġ', 'ab', 'Ġc'];
  return {
    version: '1.0',
    added_tokens: tokens.slice(0, 5).map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] },
    decoder: null,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [
        ['a', 'b'],
        ['Ġ', 'c'],
      ],
    },
  };
}

/** A copy of a fixture's model with the files that are given in place of its own tokenizer, as a new folder. */
export function modelWith(folder: string, fixture: string, files: { readonly [name: string]: Content }): string {
  mkdirSync(folder, { recursive: true });
  const isTokenizer = (name: string) => /vocab|token/.test(name);
  cpSync(fixture, folder, {
    recursive: true,
    filter: (path) => path === fixture || !isTokenizer(path.slice(fixture.length)),
  });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}
