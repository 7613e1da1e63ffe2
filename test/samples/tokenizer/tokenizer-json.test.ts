import { describe, expect, test } from 'vitest';
import type { TokenizerFiles } from '../../../src/formats/tokenizer-files.ts';
import { readTokenizer, type Texts, type Tokenizer } from '../../../src/samples/tokenizer.ts';
import { bpeJson, type Content, filled, wordPieceJson } from '../../tokenizer-files.ts';

const named = (what: string, content: Content) => ({
  what,
  bytes: Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
});

type More = { readonly [part in Exclude<keyof TokenizerFiles, 'lowerCase' | 'tokenizer'>]?: Content };

function tokenizerOf(json: Content, more: More = {}): Tokenizer {
  const others = Object.entries(more).map(([part, content]) => [part, named(`${part}.json`, content)]);
  return readTokenizer({ tokenizer: named('t.json', json), ...Object.fromEntries(others) }) as Tokenizer;
}

const WORDS = filled(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'hello', 'world', '##s'], 12);
const whole = wordPieceJson(true, WORDS);

const row = (tokenizer: Tokenizer, texts: Texts, length?: number) => {
  const { inputIds, tokenTypeIds } = tokenizer.encode(texts, length);
  return `${inputIds.join(' ')} | ${tokenTypeIds.join(' ')}`;
};

test('gives the ids of special tokens and the number of all', () => {
  expect(tokenizerOf(whole)).toMatchObject({ vocabSize: 12, pad: 0, unknown: 1, mask: 4, maxLength: undefined });
  expect(tokenizerOf(bpeJson())).toMatchObject({ vocabSize: 11, pad: 1, unknown: 3, mask: 4 });
});

describe('a pair is put together', () => {
  const template = (pair: readonly object[]) => ({
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }],
    pair,
    special_tokens: { x: { id: 'x', ids: [9, 10], tokens: ['x', 'y'] } },
  });
  const bert = { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] };
  test.each<[string, object | null, object, string]>([
    ['as BERT does', bert, {}, '2 5 3 6 3 | 0 0 0 1 1'],
    ['as RoBERTa does', { ...bert, type: 'RobertaProcessing' }, {}, '2 5 3 3 6 3 | 0 0 0 0 0 0'],
    [
      'by a template, whose tokens may have several ids',
      template([
        { Sequence: { id: 'B', type_id: 1 } },
        { SpecialToken: { id: 'x', type_id: 2 } },
        { Sequence: { id: 'A' } },
      ]),
      {},
      '6 9 10 5 | 1 2 2 0',
    ],
    [
      'by the one step of a sequence that adds something',
      { type: 'Sequence', processors: [{ type: 'ByteLevel' }, bert] },
      {},
      '2 5 3 6 3 | 0 0 0 1 1',
    ],
    [
      'without a post-processor by its class',
      null,
      { tokenizer_class: 'RobertaTokenizer', cls_token: '[CLS]', sep_token: '[SEP]' },
      '2 5 3 3 6 3 | 0 0 0 0 0 0',
    ],
    ['without a class by its special tokens', null, {}, '2 5 3 6 3 | 0 0 0 1 1'],
    ['bare where neither says', null, { tokenizer_class: 'PreTrainedTokenizerFast' }, '5 6 | 0 1'],
  ])('%s', (_, processor, config, expected) => {
    expect(row(tokenizerOf({ ...whole, post_processor: processor }, { config }), ['hello', 'world'])).toBe(expected);
  });

  test.each([
    [
      'all of type 0 where the inputs of the model are named without them',
      ['input_ids', 'attention_mask'],
      '0 0 0 0 0',
    ],
    ['of two types where they are named', ['input_ids', 'token_type_ids'], '0 0 0 1 1'],
  ])('and %s', (_, model_input_names, types) => {
    const tokenizer = tokenizerOf(whole, { config: { model_input_names } });
    expect(row(tokenizer, ['hello', 'world'])).toBe(`2 5 3 6 3 | ${types}`);
  });

  test('and cut from the start where the config says so', () => {
    const tokenizer = tokenizerOf(whole, { config: { truncation_side: 'left' } });
    expect(row(tokenizer, ['hello hellos', 'world'], 5)).toBe('2 7 3 6 3 | 0 0 0 1 1');
    expect(row(tokenizer, ['hello'], 2)).toBe('2 3 | 0 0');
    expect(() => tokenizer.encode(['hello', 'world'], 2)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('added tokens', () => {
  const plus = { '[E1]': 12, '<url>': 13 };

  test('come from added_tokens.json', () => {
    const tokenizer = tokenizerOf(whole, { addedTokens: plus });
    expect(tokenizer.vocabSize).toBe(14);
    // [E1] is looked for in lower-cased text, and so is itself lower-cased.
    expect(row(tokenizer, ['hello[e1]<url>worlds'])).toBe('2 5 12 13 6 7 3 | 0 0 0 0 0 0 0');
  });

  test('that are special are taken as they are', () => {
    const tokenizer = tokenizerOf(whole, { addedTokens: plus, specialTokens: { additional_special_tokens: ['[E1]'] } });
    expect(row(tokenizer, ['[E1][e1]'])).toBe('2 12 1 1 1 3 | 0 0 0 0 0 0');
  });

  test('come with their settings from tokenizer_config.json, which then is the only one asked', () => {
    const added_tokens_decoder = { 12: { content: '<x>', single_word: true, lstrip: true, special: true } };
    const tokenizer = tokenizerOf(whole, { config: { added_tokens_decoder }, addedTokens: plus });
    expect(tokenizer.vocabSize).toBe(13);
    expect(row(tokenizer, ['hello <x> a<x>'])).toBe('2 5 12 1 1 1 1 3 | 0 0 0 0 0 0 0 0');
  });

  test('may hold any character that is syntax of a pattern', () => {
    const tokenizer = tokenizerOf(whole, { addedTokens: { 'covid-19': 12, '<|en-us|>': 13, '^$.*+?()[]{}\\/': 14 } });
    expect(row(tokenizer, ['hello covid-19 <|en-us|>^$.*+?()[]{}\\/'])).toBe('2 5 12 13 14 3 | 0 0 0 0 0 0');
  });

  test('that the vocabulary has keep its id', () => {
    expect(row(tokenizerOf(whole, { addedTokens: { world: 40 } }), ['world'])).toBe('2 6 3 | 0 0 0');
  });
});

describe('the config beside it', () => {
  const accents = wordPieceJson(true, filled(['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'é', 'e', 'É', '中文', '中'], 12));
  test.each<[string, object, string]>([
    ['says nothing', {}, '2 5 5 8 1 3'],
    ['keeps accents', { strip_accents: false }, '2 4 4 8 1 3'],
    ['keeps the case', { do_lower_case: false }, '2 4 6 8 1 3'],
    ['keeps the case and leaves accents to it', { do_lower_case: false, strip_accents: null }, '2 4 6 8 1 3'],
    ['does not split Han characters', { tokenize_chinese_chars: false }, '2 5 5 7 3'],
    [
      'is of a class that only reads the file',
      { tokenizer_class: 'PreTrainedTokenizerFast', strip_accents: false },
      '2 5 5 8 1 3',
    ],
  ])('%s', (_, config, expected) => {
    expect(tokenizerOf(accents, { config }).encode(['é É 中文']).inputIds.join(' ')).toBe(expected);
  });

  test('names special tokens, and the older file before it', () => {
    const config = { pad_token: 'hello', mask_token: { content: '##s' } };
    expect(tokenizerOf(whole, { config })).toMatchObject({ pad: 5, mask: 7 });
    expect(tokenizerOf(whole, { config, specialTokens: { pad_token: 'world' } })).toMatchObject({ pad: 6, mask: 7 });
    expect(tokenizerOf(whole, { config: { pad_token: 'absent' } }).pad).toBeUndefined();
  });

  test.each<[string, More, number | undefined]>([
    ['of the tokenizer', { config: { model_max_length: 24 } }, 24],
    ['of sentence-transformers before it', { config: { model_max_length: 24 }, sentences: { max_seq_length: 16 } }, 16],
    ['that means none', { config: '{"model_max_length": 1000000000000000019884624838656}' }, undefined],
  ])('tells a longest sequence: one %s', (_, more, maxLength) => {
    expect(tokenizerOf(whole, more).maxLength).toBe(maxLength);
  });

  test('of sentence-transformers lower-cases for any tokenizer', () => {
    // Without an unknown token, BPE leaves out what it has no piece for.
    expect(tokenizerOf(bpeJson()).encode(['AB']).inputIds).toEqual([0, 2]);
    expect(tokenizerOf(bpeJson(), { sentences: { do_lower_case: true } }).encode(['AB']).inputIds).toEqual([0, 9, 2]);
  });
});

describe('refuses', () => {
  const model = (whole as { model: object }).model;
  const bpe = bpeJson() as { model: object };
  const unigram = {
    type: 'Unigram',
    unk_id: 0,
    vocab: [
      ['<unk>', 0],
      ['a', -1],
    ],
  };
  test.each<[string, object, string, RegExp]>([
    ['a list', [], 'MALFORMED', /^t\.json: is not a JSON object$/],
    ['no model', { ...whole, model: null }, 'MALFORMED', /^t\.json: model: is absent, not an object$/],
    [
      'a model of another kind',
      { model: { type: 'WordLevel', vocab: {} } },
      'UNSUPPORTED',
      /model: type "WordLevel" is not supported/,
    ],
    ['a model without tokens', { model: { ...model, vocab: {} } }, 'MALFORMED', /model: has no vocab$/],
    [
      'an id that is no number',
      { model: { ...model, vocab: { a: 'b' } } },
      'MALFORMED',
      /model: a: its id is no whole number/,
    ],
    [
      'an id that would fill the memory',
      { model: { ...model, vocab: { a: 4e9 } } },
      'MALFORMED',
      /model: a: its id is no whole number up to 10000000$/,
    ],
    [
      'an added id that would',
      { ...whole, added_tokens: [{ id: 4e9, content: '<x>' }] },
      'MALFORMED',
      /its id is no whole number up to/,
    ],
    [
      'a negative id',
      { ...whole, added_tokens: [{ id: -1, content: '<x>' }] },
      'MALFORMED',
      /added_tokens\[0\]: id: is -1, not a whole number/,
    ],
    [
      'BPE without merges',
      { model: { ...bpe.model, merges: undefined, type: 'BPE' } },
      'MALFORMED',
      /model: has no merges$/,
    ],
    [
      'BPE with a prefix',
      { ...bpe, model: { ...bpe.model, continuing_subword_prefix: '@@' } },
      'UNSUPPORTED',
      /continuing_subword_prefix "@@": is not supported for BPE/,
    ],
    [
      'WordPiece with another prefix',
      { ...whole, model: { ...model, continuing_subword_prefix: '@@' } },
      'UNSUPPORTED',
      /continuing_subword_prefix "@@"/,
    ],
    [
      'Unigram with bytes for unknown characters',
      { ...whole, model: { ...unigram, byte_fallback: true } },
      'UNSUPPORTED',
      /byte_fallback: is not supported for Unigram/,
    ],
    [
      'Unigram without a score',
      { ...whole, model: { ...unigram, vocab: [['<unk>', 0], ['a']] } },
      'MALFORMED',
      /vocab\[1\]: is no token with a score/,
    ],
    [
      'Unigram without unknown',
      { ...whole, model: { ...unigram, unk_id: 2 } },
      'MALFORMED',
      /unk_id names none of its tokens/,
    ],
    [
      'a normalizer that nobody here knows',
      { ...whole, normalizer: { type: 'Nmt' } },
      'UNSUPPORTED',
      /normalizer: type "Nmt" is not supported/,
    ],
    [
      'one in a sequence',
      { ...whole, normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'X' }] } },
      'UNSUPPORTED',
      /normalizer\[1\]: type "X"/,
    ],
    [
      'a map of characters that is none',
      { ...whole, normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } },
      'MALFORMED',
      /precompiled_charsmap of 3 bytes holds no trie/,
    ],
    [
      'a map whose trie is longer than it',
      { ...whole, normalizer: { type: 'Precompiled', precompiled_charsmap: 'CAAAAAAAAAA=' } },
      'MALFORMED',
      /of 8 bytes holds no trie/,
    ],
    [
      'a pre-tokenizer that the library does not have',
      { ...whole, pre_tokenizer: { type: 'UnicodeScripts' } },
      'UNSUPPORTED',
      /^t\.json: .*UnicodeScripts/,
    ],
    [
      'a split that joins neighbours',
      { ...whole, pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'MergedWithNext' } },
      'UNSUPPORTED',
      /pre_tokenizer: behavior "MergedWithNext"/,
    ],
    [
      'a pattern that is none',
      { ...whole, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } },
      'UNSUPPORTED',
      /^t\.json: /,
    ],
    [
      'a post-processor that nobody here knows',
      { ...whole, post_processor: { type: 'X' } },
      'UNSUPPORTED',
      /post_processor: type "X"/,
    ],
    [
      'a template with an unknown token',
      { ...whole, post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: 'x' } }], pair: [] } },
      'MALFORMED',
      /special_tokens: x: is absent/,
    ],
  ])('%s', (_, json, code, message) => {
    expect(() => tokenizerOf(json)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  test('a class that splits texts by its own code, whatever the file says', () => {
    for (const name of ['BertJapaneseTokenizer', 'RoFormerTokenizerFast']) {
      expect(() => tokenizerOf(whole, { config: { tokenizer_class: name } })).toThrow(
        expect.objectContaining({
          code: 'UNSUPPORTED',
          message: expect.stringContaining(name),
          hint: expect.stringContaining('.npz'),
        }),
      );
    }
  });
});

test('walks off the end of a damaged map of characters without an error', () => {
  // One unit, which sends every byte to places behind the end.
  const charsmap = Buffer.from(Uint32Array.of(4, 0x7ffffe00).buffer).toString('base64');
  const json = { ...whole, normalizer: { type: 'Precompiled', precompiled_charsmap: charsmap } };
  expect(row(tokenizerOf(json), ['hello'])).toBe('2 5 3 | 0 0 0');
});
