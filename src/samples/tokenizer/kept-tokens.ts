import { MbertError } from '../../errors.ts';
import type { Texts } from '../tokenizer.ts';
import type { TokenizerDefinition } from './definition.ts';

/** Words that stay: those of texts, or those written in some scripts. */
export type Wanted =
  | { readonly texts: readonly Texts[]; readonly encode: (texts: Texts) => readonly number[] }
  | { readonly scripts: readonly string[] };

/** Tokens that BERT's vocabularies reserve and no text has. */
const RESERVED = /^\[unused\d+\]$/;
/** Marks of a piece inside of a word, and of the space before one. */
const MARKS = /^(?:##|▁)/u;
/** Single bytes, which models with byte_fallback cut unknown characters into. */
const BYTE = /^<0x[0-9A-F]{2}>$/;

/**
 * The ids that stay, ascending. Texts are cut the same with them: every token of the texts stays, and every step by which
 * the tokenizer finds it. WordPiece takes the longest piece, and a longer one does not appear by taking others away. A best
 * path of Unigram stays the best of fewer. BPE joins the same pairs, as the parts of each kept token stay as well. Characters
 * of the kept tokens stay as tokens of their own, so that further words of the same alphabet can be spelled.
 */
export function keptTokens(definition: TokenizerDefinition, wanted: Wanted, alsoIds: readonly number[]): number[] {
  const { vocabulary, added, ids, template } = definition;
  const kept = new Set<number>(alsoIds);
  for (const id of Object.values(ids)) if (id !== undefined) kept.add(id);
  for (const { id } of added) kept.add(id);
  for (const piece of [...template.single, ...template.pair]) {
    if ('ids' in piece) for (const id of piece.ids) kept.add(id);
  }
  if ('texts' in wanted) {
    for (const texts of wanted.texts) for (const id of wanted.encode(texts)) kept.add(id);
    keepAlphabet(vocabulary, kept);
  } else keepScripts(definition, wanted.scripts, kept);
  if (definition.kind === 'BPE') keepParts(definition, kept);
  if (definition.kind === 'Unigram') keepWorst(definition, kept);
  return [...kept].sort((a, b) => a - b);
}

/** Keeps tokens of one character each, of the characters in kept tokens. */
function keepAlphabet(vocabulary: ReadonlyMap<string, number>, kept: Set<number>): void {
  const characters = new Set<string>();
  for (const [token, id] of vocabulary) if (kept.has(id)) for (const character of token) characters.add(character);
  for (const [token, id] of vocabulary) {
    const [character = '', ...more] = token.replace(MARKS, '') || token;
    if (more.length === 0 && characters.has(character)) kept.add(id);
  }
}

function keepScripts(
  { kind, what, vocabulary }: TokenizerDefinition,
  scripts: readonly string[],
  kept: Set<number>,
): void {
  if (kind === 'BPE') {
    throw new MbertError('UNSUPPORTED', `${what}: is BPE, whose tokens are bytes of no script`, {
      hint: '--trim-vocabulary takes a file of texts as well',
    });
  }
  const pattern = scriptPattern(scripts);
  for (const [token, id] of vocabulary) if (!RESERVED.test(token) && pattern.test(token)) kept.add(id);
}

/** Texts in these scripts, with digits, punctuation and marks. Throws USAGE for a name that Unicode does not have. */
export function scriptPattern(scripts: readonly string[]): RegExp {
  const classes = ['Common', 'Inherited', ...scripts].map((script) => {
    try {
      return new RegExp(`\\p{Script=${script}}`, 'u').source;
    } catch (cause) {
      throw new MbertError('USAGE', `--trim-vocabulary: "${script}" is no file, and no script of Unicode`, {
        hint: 'scripts are named as Latin, Cyrillic, Greek, Arabic, Han, Hiragana',
        cause,
      });
    }
  });
  return new RegExp(`^[${classes.join('')}]+$`, 'u');
}

/** Keeps the two parts of each kept token, and theirs, and the alphabet that everything is spelled with. */
function keepParts({ what, model, vocabulary }: TokenizerDefinition, kept: Set<number>): void {
  const parts = new Map<number, number[]>();
  for (const [left, right] of mergesOf(model, what)) {
    const [a, b, whole] = [left, right, left + right].map((token) => vocabulary.get(token));
    if (a === undefined || b === undefined || whole === undefined) continue;
    const known = parts.get(whole);
    if (known === undefined) parts.set(whole, [a, b]);
    else known.push(a, b);
  }
  for (const [token, id] of vocabulary) if ([...token].length === 1 || BYTE.test(token)) kept.add(id);
  const open = [...kept];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const part of parts.get(id) ?? []) {
      if (kept.has(part)) continue;
      kept.add(part);
      open.push(part);
    }
  }
}

/** The pairs that BPE joins, as `"a b"` or `["a", "b"]`. */
export function mergesOf(model: unknown, what: string): (readonly [string, string])[] {
  const { merges = [] } = model as { readonly merges?: readonly unknown[] };
  return merges.map((merge, i) => {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left, right] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
    if (typeof left === 'string' && typeof right === 'string') return [left, right];
    throw new MbertError('MALFORMED', `${what}: model: merges[${i}]: is no pair of tokens`);
  });
}

/** Keeps the token of the lowest score: that of unknown characters is so much below it. */
function keepWorst({ model }: TokenizerDefinition, kept: Set<number>): void {
  const { vocab } = model as { readonly vocab: readonly (readonly [string, number])[] };
  let worst = 0;
  for (const [id, [, score]] of vocab.entries()) if (score < (vocab[worst]?.[1] ?? 0)) worst = id;
  kept.add(worst);
}
