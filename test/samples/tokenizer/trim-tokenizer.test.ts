import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { MbertError } from '../../../src/errors.ts';
import type { TokenizerFiles } from '../../../src/formats/tokenizer-files.ts';
import type { TokenizerDefinition } from '../../../src/samples/tokenizer/definition.ts';
import { keptTokens, type Wanted } from '../../../src/samples/tokenizer/kept-tokens.ts';
import { readDefinition } from '../../../src/samples/tokenizer/read.ts';
import { trimTokenizer } from '../../../src/samples/tokenizer/trim-tokenizer.ts';
import { readTokenizer, type Texts, type Tokenizer } from '../../../src/samples/tokenizer.ts';

const NAMES = {
  tokenizer: 'tokenizer.json',
  vocabulary: 'vocab.txt',
  config: 'tokenizer_config.json',
  addedTokens: 'added_tokens.json',
} as const;

function read(path: string): Uint8Array | undefined {
  if (existsSync(path)) return readFileSync(path);
  return existsSync(`${path}.gz`) ? gunzipSync(readFileSync(`${path}.gz`)) : undefined;
}

/** The files of a fixture's tokenizer. */
function filesOf(name: string): TokenizerFiles {
  const entries = Object.entries(NAMES).flatMap(([part, what]) => {
    const bytes = read(`fixtures/tokenizers/${name}/${what}`);
    return bytes === undefined ? [] : [[part, { what, bytes }]];
  });
  return Object.fromEntries(entries);
}

/** Texts of a fixture with the ids that Python's tokenizers gives them. */
function goldenOf(name: string): { readonly texts: Texts; readonly ids: readonly number[] }[] {
  const golden = JSON.parse(String(read(`fixtures/tokenizers/${name}/golden.json`))) as readonly (readonly [
    string,
    string | null,
    number | null,
    readonly number[],
  ])[];
  return golden.flatMap(([text, second, length, ids]) =>
    length === null ? [{ texts: second === null ? ([text] as const) : ([text, second] as const), ids }] : [],
  );
}

interface Trimmed {
  readonly kept: readonly number[];
  readonly tokenizer: Tokenizer;
  readonly definition: TokenizerDefinition;
}

function trimmed(name: string, wanted: (tokenizer: Tokenizer) => Wanted): Trimmed {
  const files = filesOf(name);
  const definition = readDefinition(files)?.definition as TokenizerDefinition;
  const kept = keptTokens(definition, wanted(readTokenizer(files) as Tokenizer), []);
  const fewer = trimTokenizer(files, kept);
  return {
    kept,
    tokenizer: readTokenizer(fewer) as Tokenizer,
    definition: readDefinition(fewer)?.definition as TokenizerDefinition,
  };
}

const texts = (some: readonly Texts[]) => (tokenizer: Tokenizer) => ({
  texts: some,
  encode: (each: Texts) => tokenizer.encode(each).inputIds,
});

const ALL = [
  'wordpiece-uncased',
  'wordpiece-cased',
  'vocab-cased',
  'vocab-added-tokens',
  'vocab-mpnet',
  'bpe-roberta',
  'bpe-modernbert',
  'unigram-albert',
  'unigram-xlmr',
];

describe('texts are cut into the tokens that Python cuts them into', () => {
  test.each(ALL)('%s, with the tokens of a quarter of the texts', (name) => {
    const golden = goldenOf(name).filter((_, i) => i % 4 === 0);
    const { kept, tokenizer } = trimmed(name, texts(golden.map((row) => row.texts)));
    const before = readTokenizer(filesOf(name))?.vocabSize ?? 0;
    expect(kept.length).toBeLessThan(before);
    expect(tokenizer.vocabSize).toBe(kept.length);
    for (const row of golden) {
      expect(
        tokenizer.encode(row.texts).inputIds.map((id) => kept[id]),
        row.texts[0],
      ).toEqual(row.ids);
    }
  });

  test.each(ALL)('%s, one text at a time', (name) => {
    for (const row of goldenOf(name).slice(0, 12)) {
      const { kept, tokenizer } = trimmed(name, texts([row.texts]));
      expect(
        tokenizer.encode(row.texts).inputIds.map((id) => kept[id]),
        row.texts[0],
      ).toEqual(row.ids);
    }
  });
});

test('another word of the same alphabet is spelled, not unknown', () => {
  const { tokenizer } = trimmed('wordpiece-uncased', texts([['abcdefghijklmnopqrstuvwxyz']]));
  const { inputIds } = tokenizer.encode(['zyxwvut']);
  expect(inputIds.length).toBeGreaterThan(3);
  expect(inputIds).not.toContain(tokenizer.unknown);
});

describe('scripts', () => {
  test.each(['wordpiece-uncased', 'unigram-xlmr'])(
    'leave %s their words, digits, punctuation and special tokens',
    (name) => {
      const { definition } = trimmed(name, () => ({ scripts: ['Greek'] }));
      const added = new Set(definition.added.map(({ content }) => content));
      const special = new Set(Object.values(definition.ids));
      const others = [...definition.vocabulary].filter(([token, id]) => !added.has(token) && !special.has(id));
      expect(
        others.map(([token]) => token).filter((token) => /\p{Script=Latin}|\p{Script=Cyrillic}/u.test(token)),
      ).toEqual([]);
      expect(others.length).toBeGreaterThan(0);
      expect(others.some(([token]) => /\d/.test(token))).toBe(true);
    },
  );

  test('are words of some writing, which bytes are not', () => {
    const refusal = (name: string, script: string) => {
      try {
        trimmed(name, () => ({ scripts: [script] }));
        return 'nothing';
      } catch (cause) {
        return `${(cause as MbertError).code}: ${(cause as MbertError).message}`;
      }
    };
    expect(refusal('bpe-roberta', 'Latin')).toBe(
      'UNSUPPORTED: tokenizer.json: is BPE, whose tokens are bytes of no script',
    );
    expect(refusal('wordpiece-uncased', 'Latn]x')).toBe(
      'USAGE: --trim-vocabulary: "Latn]x" is no file, and no script of Unicode',
    );
  });
});
