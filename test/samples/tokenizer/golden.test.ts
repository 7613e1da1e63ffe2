import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openTokenizer } from '../../../src/opened/open-tokenizer.ts';
import { unpacked } from '../../unpacked.ts';

/** A text or two, the most tokens, and what Python makes of them (conformance/tokenizers). */
type Sample = readonly [string, string | null, number | null, readonly number[], readonly number[]];

const FOLDER = 'fixtures/tokenizers';

function golden(name: string): readonly Sample[] {
  return JSON.parse(gunzipSync(readFileSync(`${FOLDER}/${name}/golden.json.gz`)).toString()) as readonly Sample[];
}

describe('ids and token types are those of the Python tokenizers', () => {
  test.each(readdirSync(FOLDER))('%s', (name) => {
    const tokenizer = openTokenizer(unpacked(`${FOLDER}/${name}`));
    const samples = golden(name);
    expect(samples.length).toBeGreaterThan(300);
    for (const [text, second, length, inputIds, tokenTypeIds] of samples) {
      const row = tokenizer.encode(second === null ? [text] : [text, second], length ?? undefined);
      expect({ text, second, length, ...row }).toEqual({ text, second, length, inputIds, tokenTypeIds });
    }
  });
});
