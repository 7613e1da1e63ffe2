import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { NamedBytes } from '../../src/formats/tokenizer-files.ts';
import { readTokenizer, type Texts, type Tokenizer } from '../../src/samples/tokenizer.ts';

const fixture = (file: string) => readFileSync(new URL(`../../fixtures/wordpiece/${file}`, import.meta.url));
const named = (what: string, content: string | Uint8Array) => ({ what, bytes: Buffer.from(content) });

/** The tokenizer of a vocab.txt and, where there is one, a tokenizer_config.json. */
function wordPiece(vocabulary: NamedBytes, config?: NamedBytes): Tokenizer {
  return readTokenizer({ vocabulary, config }) as Tokenizer;
}

const oracle = JSON.parse(fixture('oracle.json').toString()) as {
  readonly configs: { readonly [name: string]: object };
  readonly texts: readonly string[];
  readonly single: { readonly [config: string]: readonly (readonly number[])[] };
  readonly truncated: readonly (readonly [Texts, number | null, readonly number[], readonly number[]])[];
};
const vocab = named('vocab.txt', fixture('vocab.txt'));

describe('a vocab.txt is read as transformers reads it', () => {
  test.each(Object.entries(oracle.configs))('on hard texts, %s', (name, config) => {
    const tokenizer = wordPiece(vocab, named('tokenizer_config.json', JSON.stringify(config)));
    for (const [i, text] of oracle.texts.entries()) {
      const { inputIds, tokenTypeIds } = tokenizer.encode([text]);
      expect(inputIds, text).toEqual(oracle.single[name]?.[i]);
      expect(tokenTypeIds, text).toEqual(inputIds.map(() => 0));
    }
  });

  test('on pairs of texts, cut to every length', () => {
    const tokenizer = wordPiece(vocab, named('tokenizer_config.json', '{"do_lower_case": true}'));
    for (const [texts, maxLength, inputIds, tokenTypeIds] of oracle.truncated) {
      const row = maxLength === null ? tokenizer.encode(texts) : tokenizer.encode(texts, maxLength);
      expect({ texts, maxLength, ...row }).toEqual({ texts, maxLength, inputIds, tokenTypeIds });
    }
  });
});

describe('a vocab.txt', () => {
  const small = '[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n##s\n';

  test('gives the ids of the special tokens', () => {
    expect(wordPiece(named('vocab.txt', small))).toMatchObject({
      vocabSize: 7,
      pad: 0,
      unknown: 1,
      mask: undefined,
    });
    expect(wordPiece(named('vocab.txt', `${small}[MASK]`))).toMatchObject({ vocabSize: 8, mask: 7 });
  });

  test.each([
    ['Windows line ends', small.replaceAll('\n', '\r\n')],
    ['no last line end', small.trimEnd()],
    ['a byte order mark', `\ufeff${small}`],
  ])('reads a vocabulary with %s', (_, text) => {
    const tokenizer = wordPiece(named('vocab.txt', text));
    expect(tokenizer.encode(['Hello worlds'])).toEqual({ inputIds: [2, 4, 5, 6, 3], tokenTypeIds: [0, 0, 0, 0, 0] });
  });

  test('keeps the case where the vocabulary has upper-case words and nothing says otherwise', () => {
    const cased = named('vocab.txt', `${small}Hello\n`);
    expect(wordPiece(cased).encode(['Hello hello']).inputIds).toEqual([2, 7, 4, 3]);
    const told = wordPiece(cased, named('tokenizer_config.json', '{"do_lower_case": true}'));
    expect(told.encode(['Hello hello']).inputIds).toEqual([2, 4, 4, 3]);
  });

  test('takes other names for the special tokens, as texts or as objects', () => {
    const config = '{"cls_token": "<s>", "sep_token": {"content": "</s>"}, "tokenizer_class": "BertTokenizerFast"}';
    const tokenizer = wordPiece(
      named('vocab.txt', '[PAD]\n[UNK]\n<s>\n</s>\nhello\n'),
      named('tokenizer_config.json', config),
    );
    expect(tokenizer.encode(['hello there']).inputIds).toEqual([2, 4, 1, 3]);
  });

  test('takes any word for a token, also those that objects have', () => {
    const tokenizer = wordPiece(named('vocab.txt', `${small}__proto__\nconstructor\n_\n`));
    expect(tokenizer.encode(['constructor']).inputIds).toEqual([2, 8, 3]);
  });

  test.each<[string, string, string]>([
    ['[UNK]', small.replace('[UNK]', '[unk]'), 'vocab.txt: has no [UNK]'],
    ['[CLS]', small.replace('[CLS]\n', ''), 'vocab.txt: has no [CLS]'],
    ['[SEP]', small.replace('[SEP]\n', ''), 'vocab.txt: has no [SEP]'],
    ['[PAD]', small.replace('[PAD]\n', ''), 'vocab.txt: has no [PAD]'],
    ['anything', '', 'vocab.txt: has no [PAD]'],
  ])('refuses a vocabulary without %s', (_, text, message) => {
    expect(() => wordPiece(named('vocab.txt', text))).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message, hint: expect.stringContaining('one token a line') }),
    );
  });

  test('refuses a vocabulary that is no text', () => {
    expect(() => wordPiece(named('vocab.txt', Uint8Array.of(0xff, 0xfe, 0)))).toThrow('vocab.txt: is not UTF-8 text');
  });

  test.each<[string, string, string]>([
    ['[]', 'MALFORMED', 'c.json: is not a JSON object'],
    ['{"do_lower_case": "yes"}', 'MALFORMED', 'c.json: do_lower_case: is "yes", not true or false'],
    ['{"unk_token": 3}', 'MALFORMED', 'c.json: unk_token: is 3, not a token'],
    ['{"unk_token": "<unk>"}', 'MALFORMED', 'vocab.txt: has no <unk>'],
    [
      '{"tokenizer_class": "RobertaTokenizer"}',
      'UNSUPPORTED',
      'c.json: tokenizer_class: "RobertaTokenizer" is no WordPiece tokenizer',
    ],
  ])('refuses the config %s', (config, code, message) => {
    expect(() => wordPiece(named('vocab.txt', small), named('c.json', config))).toThrow(
      expect.objectContaining({ code, message }),
    );
  });

  test('refuses a length without room for the special tokens', () => {
    const tokenizer = wordPiece(named('vocab.txt', small));
    expect(tokenizer.encode(['hello'], 2).inputIds).toEqual([2, 3]);
    expect(() => tokenizer.encode(['hello'], 1)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => tokenizer.encode(['hello', 'world'], 2)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
