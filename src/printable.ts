/** Longest text of a file that is printed whole: names of real nodes have up to some hundred characters. */
const MAX_PRINTED = 1000;

/** Characters at the end of a longer text that are printed: a message says there what is wrong with what it names. */
const END_PRINTED = 200;

/**
 * Characters that a terminal obeys or that hide what is beside them: controls, separators of lines and the marks of
 * bidirectional text.
 */
const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * A text that a file gave, fit for one line of a terminal or a log: control characters are escaped, also those that
 * begin a line of GitHub's workflow commands (`::error::`, `##[error]`), and what is very long is cut in its middle.
 */
export function printable(text: string): string {
  return escapeControls(cutInMiddle(text)).replace(/^(\s*):(?=:)/, '$1\\x3a');
}

function cutInMiddle(text: string): string {
  const rest = text.length - MAX_PRINTED;
  if (rest <= 0) return text;
  return `${text.slice(0, MAX_PRINTED - END_PRINTED)}… ${rest} more characters …${text.slice(-END_PRINTED)}`;
}

/** Escapes control characters and the marks of GitHub's older commands as JSON does, so that it reads them back. */
export function escapeControls(text: string): string {
  return text.replace(UNPRINTABLE, escaped).replaceAll('##[', '#\\u0023[');
}

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Data as it may be printed: each text in it, keys included, is made printable. What is no plain object stays as it is. */
export function shown<T>(data: T): T {
  if (typeof data === 'string') return printable(data) as T;
  if (Array.isArray(data)) return data.map(shown) as T;
  if (typeof data !== 'object' || data === null || Object.getPrototypeOf(data) !== Object.prototype) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [printable(key), shown(value)])) as T;
}

/** Bytes in words, in units of 10^6 or 10^3, as file managers and app stores count. */
export function size(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes} B`;
}
