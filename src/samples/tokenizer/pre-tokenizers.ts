import { MbertError } from '../../errors.ts';
import type { JsonValue } from '../../formats/json.ts';
import { type Fields, fieldsOf, plain } from './json-fields.ts';

/** Contractions, words, numbers and other runs, each with the space before it: GPT-2's pattern. */
const BYTE_LEVEL = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** What Rust's `\\w` matches, inside of brackets. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200C\\u200D';

const PUNCTUATION = '[\\p{P}!-/:-@\\[-`{-~]';

/** Types that the library computes otherwise than Rust: white space and digits beyond ASCII, runs of punctuation. */
const REWRITTEN: { readonly [type: string]: (fields: Fields) => unknown } = {
  Sequence: (fields) => ({
    type: 'Sequence',
    pretokenizers: (fields.list('pretokenizers') ?? []).map((step, i) =>
      libraryPreTokenizer(step, `${fields.what}[${i}]`),
    ),
  }),
  WhitespaceSplit: () => split('\\s+', 'Removed'),
  Whitespace: () => ({ ...split(`[${WORD}]+|[^${WORD}\\s]+`, 'Removed'), invert: true }),
  Punctuation: (fields) => {
    const behavior = behaviorOf(fields);
    return split(behavior === 'Contiguous' ? `${PUNCTUATION}+` : PUNCTUATION, behavior);
  },
  Digits: (fields) => split(fields.flag('individual_digits') ? '\\p{N}' : '\\p{N}+', 'Isolated'),
  Split: (fields) => {
    behaviorOf(fields);
    return undefined;
  },
  ByteLevel: (fields) => {
    if (fields.flag('use_regex') === false || fields.flag('add_prefix_space')) return undefined;
    const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    return { type: 'Sequence', pretokenizers: [split(BYTE_LEVEL, 'Isolated'), bytes] };
  },
  Metaspace: (fields) => {
    // Of before 2024, where a flag stood for the scheme.
    const scheme = fields.text('prepend_scheme') ?? (fields.flag('add_prefix_space') === false ? 'never' : 'always');
    return { type: 'Metaspace', replacement: fields.text('replacement') ?? '▁', prepend_scheme: scheme };
  },
};

/** The `pre_tokenizer` of a tokenizer.json so that the library does with it what the Rust one does. */
export function libraryPreTokenizer(json: JsonValue | undefined, what: string): unknown {
  if (json === null || json === undefined) return null;
  const fields = fieldsOf(json, what);
  const rewrite = Object.hasOwn(REWRITTEN, fields.type) ? REWRITTEN[fields.type] : undefined;
  return rewrite?.(fields) ?? plain(json);
}

function split(regex: string, behavior: string) {
  return { type: 'Split', pattern: { Regex: regex }, behavior, invert: false };
}

/** How matches are cut off. Throws UNSUPPORTED for those that join a match to its neighbour, which the library does not do. */
function behaviorOf(fields: Fields): string {
  const behavior = fields.text('behavior') ?? 'Isolated';
  if (!behavior.startsWith('Merged')) return behavior;
  throw new MbertError('UNSUPPORTED', `${fields.what}: behavior "${behavior}" is not supported`);
}
