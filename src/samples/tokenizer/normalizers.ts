import { MbertError } from '../../errors.ts';
import type { JsonValue } from '../../formats/json.ts';
import { type Fields, fieldsOf } from './json-fields.ts';
import { openLibrary } from './library.ts';
import { precompiledNormalizer } from './precompiled.ts';

export type Normalizer = (text: string) => string;

export interface BertNormalization {
  readonly cleanText: boolean;
  /** Han characters become words of their own. */
  readonly splitHan: boolean;
  /** Null strips accents where the tokenizer lower-cases. */
  readonly stripAccents: boolean | null;
  readonly lowerCase: boolean;
}

/** Normalizes as BERT's tokenizers do, in the order and by the letter of the Rust library. */
export function bertNormalizer({ cleanText, splitHan, stripAccents, lowerCase }: BertNormalization): Normalizer {
  return (text) => {
    let result = text;
    if (cleanText) result = result.replace(REMOVED, '').replace(/\p{White_Space}/gu, ' ');
    if (splitHan) result = result.replace(HAN, ' $& ');
    if (stripAccents ?? lowerCase) result = result.normalize('NFD').replace(/\p{Mn}/gu, '');
    return lowerCase ? lowerCased(result) : result;
  };
}

/** NUL, the replacement character and all that Unicode calls `Other`, but for tabs and line ends. */
const REMOVED = /(?![\t\n\r])[\u{FFFD}\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;

/** Han characters as the Rust library splits them (its third range of the higher planes does start at 2B920). */
const HAN =
  /[\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{F900}-\u{FAFF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** Lower-cases each character by itself: JavaScript takes another sigma at the end of a word. */
function lowerCased(text: string): string {
  return text.replaceAll('Σ', 'σ').toLowerCase();
}

const KINDS: { readonly [type: string]: (fields: Fields) => Normalizer } = {
  BertNormalizer: (fields) => bertNormalizer(bertNormalization(fields)),
  Sequence: (fields) => {
    const steps = (fields.list('normalizers') ?? []).map((step, i) => readNormalizer(step, `${fields.what}[${i}]`));
    return (text) => steps.reduce((result, step) => step(result), text);
  },
  Precompiled: (fields) => {
    const charsmap = fields.text('precompiled_charsmap') ?? '';
    // Of sentencepiece models without normalization.
    if (charsmap === '') return (text) => text;
    return precompiledNormalizer(Buffer.from(charsmap, 'base64'), fields.what);
  },
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Lowercase: () => lowerCased,
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Strip: (fields) => {
    const ends = [
      fields.flag('strip_left') && '^\\p{White_Space}+',
      fields.flag('strip_right') && '\\p{White_Space}+$',
    ];
    const pattern = new RegExp(ends.filter(Boolean).join('|') || '(?!)', 'gu');
    return (text) => text.replace(pattern, '');
  },
  Prepend: (fields) => {
    const prefix = fields.text('prepend') ?? '';
    return (text) => (text === '' ? text : prefix + text);
  },
  Replace: (fields) => {
    const content = fields.text('content') ?? '';
    const pattern = fieldsOf(fields.value('pattern'), `${fields.what}.pattern`);
    const literal = pattern.text('String');
    if (literal !== undefined) return (text) => text.replaceAll(literal, () => content);
    const expression = regularExpression(pattern);
    return (text) => text.replace(expression, () => content);
  },
};

/** Oniguruma's syntax as JavaScript's, through the library. */
function regularExpression(pattern: Fields): RegExp {
  const config = { type: 'Replace', pattern: { Regex: pattern.text('Regex') ?? '' }, content: '' };
  return openLibrary(pattern.what, { normalizer: config }).normalizer?.pattern ?? /(?!)/u;
}

/** Reads the `normalizer` of a tokenizer.json; null changes nothing. Throws UNSUPPORTED for types that no encoder has. */
export function readNormalizer(json: JsonValue | undefined, what: string): Normalizer {
  if (json === null || json === undefined) return (text) => text;
  const fields = fieldsOf(json, what);
  const read = Object.hasOwn(KINDS, fields.type) ? KINDS[fields.type] : undefined;
  if (read !== undefined) return read(fields);
  throw new MbertError('UNSUPPORTED', `${what}: type "${fields.type}" is not supported`, {
    hint: `supported: ${Object.keys(KINDS).join(', ')}`,
  });
}

/** Settings of a BertNormalizer with the Rust library's defaults. */
export function bertNormalization(fields: Fields): BertNormalization {
  return {
    cleanText: fields.flag('clean_text') ?? true,
    splitHan: fields.flag('handle_chinese_chars') ?? true,
    stripAccents: fields.flag('strip_accents') ?? null,
    lowerCase: fields.flag('lowercase') ?? true,
  };
}
