import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { specialTokenEntries, tokenizerJson } from '../../../src/samples/tokenizer/write-tokenizer-json.ts';
import { readTokenizer, type Texts } from '../../../src/samples/tokenizer.ts';

const named = (what: string, bytes: Uint8Array | string) => ({ what, bytes: Buffer.from(bytes) });
const wordpiece = (file: string) => readFileSync(`fixtures/wordpiece/${file}`);

const oracle = JSON.parse(wordpiece('oracle.json').toString()) as {
  readonly configs: { readonly [name: string]: object };
  readonly texts: readonly string[];
  readonly single: { readonly [config: string]: readonly (readonly number[])[] };
};

describe('the tokenizer.json of a vocab.txt gives what transformers gives for the vocab.txt', () => {
  test.each(Object.entries(oracle.configs))('%s', (name, config) => {
    const settings = named('tokenizer_config.json', JSON.stringify(config));
    const made = tokenizerJson({ vocabulary: named('vocab.txt', wordpiece('vocab.txt')), config: settings });
    // Alone, so that nothing but the file itself can say how texts are cut.
    const tokenizer = readTokenizer({ tokenizer: named('tokenizer.json', made as Uint8Array) });
    for (const [i, text] of oracle.texts.entries()) {
      expect(tokenizer?.encode([text]).inputIds, text).toEqual(oracle.single[name]?.[i]);
    }
  });

  test.each(['vocab-cased', 'vocab-added-tokens', 'vocab-mpnet'])('with the settings of %s', (name) => {
    const read = (file: string) => readFileSync(`fixtures/tokenizers/${name}/${file}`);
    const golden = JSON.parse(gunzipSync(read('golden.json.gz')).toString()) as readonly (readonly [
      string,
      string | null,
      number | null,
      readonly number[],
      readonly number[],
    ])[];
    const files = {
      vocabulary: named('vocab.txt', gunzipSync(read('vocab.txt.gz'))),
      config: named('tokenizer_config.json', read('tokenizer_config.json')),
      ...(name === 'vocab-added-tokens' && { addedTokens: named('added_tokens.json', read('added_tokens.json')) }),
    };
    const tokenizer = readTokenizer({ tokenizer: named('tokenizer.json', tokenizerJson(files) as Uint8Array) });
    for (const [text, second, length, inputIds, tokenTypeIds] of golden) {
      const texts: Texts = second === null ? [text] : [text, second];
      const row = length === null ? tokenizer?.encode(texts) : tokenizer?.encode(texts, length);
      expect(row, text).toEqual({ inputIds, tokenTypeIds });
    }
  });
});

test('special tokens are told by what they are for, those that there are', () => {
  const vocabulary = named('vocab.txt', '[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n');
  expect([...specialTokenEntries({ vocabulary })]).toEqual([
    ['pad_token', '[PAD]'],
    ['unk_token', '[UNK]'],
    ['cls_token', '[CLS]'],
    ['sep_token', '[SEP]'],
  ]);
  expect(tokenizerJson({})).toBeUndefined();
});
