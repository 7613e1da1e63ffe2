import { malformed } from '../../errors.ts';
import type { JsonValue } from '../../formats/json.ts';
import { type Fields, fieldsOf } from './json-fields.ts';
import type { Normalizer } from './normalizers.ts';

/** A token that is found in the text itself, before words are made of it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** True where it counts only without a letter, mark, digit or underscore next to it. */
  readonly isWord: boolean;
  /** True where it takes the white space before it, or behind it, with it. */
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
  /** True where it is looked for in the normalized text, and normalized itself. */
  readonly isNormalized: boolean;
}

/** Makes a token that is found in the text as it is, as special ones are. */
export function specialToken(id: number, content: string): AddedToken {
  return { id, content, isWord: false, stripsLeft: false, stripsRight: false, isNormalized: false };
}

/** Reads a token with its settings; `id` is for lists that have it as a key. */
export function readAddedToken(json: JsonValue, what: string, id?: number): AddedToken {
  const fields: Fields = fieldsOf(json, what);
  const content = fields.text('content');
  const number = id ?? fields.integer('id');
  if (content === undefined || number === undefined) throw malformed(what, 'has no content or no id');
  if (!Number.isSafeInteger(number) || number < 0) throw malformed(what, 'its id is no whole number');
  return {
    id: number,
    content,
    isWord: fields.flag('single_word') ?? false,
    stripsLeft: fields.flag('lstrip') ?? false,
    stripsRight: fields.flag('rstrip') ?? false,
    isNormalized: fields.flag('normalized') ?? !(fields.flag('special') ?? false),
  };
}

/** A part of a text: an added token's id, or text that is normalized. */
export type Section = number | string;

/** Cuts texts at added tokens and normalizes what is between them. */
export function sectionCutter(tokens: readonly AddedToken[], normalize: Normalizer): (text: string) => Section[] {
  const cutRaw = cutter(tokens.filter(({ isNormalized }) => !isNormalized));
  const cutNormalized = cutter(
    tokens.filter(({ isNormalized }) => isNormalized).map((token) => ({ ...token, content: normalize(token.content) })),
  );
  return (text) =>
    cutRaw(text).flatMap((section) => (typeof section === 'number' ? [section] : cutNormalized(normalize(section))));
}

const LETTER = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const LETTER_FIRST = new RegExp(`^${LETTER}`, 'u');
const LETTER_LAST = new RegExp(`${LETTER}$`, 'u');

/** Cuts a text at the leftmost and, of those, longest tokens. */
function cutter(tokens: readonly AddedToken[]): (text: string) => Section[] {
  const byContent = new Map(tokens.filter(({ content }) => content !== '').map((token) => [token.content, token]));
  if (byContent.size === 0) return (text) => (text === '' ? [] : [text]);
  const longestFirst = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(
    longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'),
    'gu',
  );
  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    const pushText = (end: number) => {
      if (end > done) sections.push(text.slice(done, end));
    };
    for (const { 0: content, index } of text.matchAll(pattern)) {
      const token = byContent.get(content) as AddedToken;
      const [before, behind] = [text.slice(0, index), text.slice(index + content.length)];
      if (token.isWord && (LETTER_LAST.test(before) || LETTER_FIRST.test(behind))) continue;
      const start = token.stripsLeft ? before.replace(/\p{White_Space}+$/u, '').length : index;
      const end = token.stripsRight
        ? text.length - behind.replace(/^\p{White_Space}+/u, '').length
        : index + content.length;
      pushText(Math.max(start, done));
      sections.push(token.id);
      done = end;
    }
    pushText(text.length);
    return sections;
  };
}
