import { MbertError } from '../errors.ts';

/** JSON whose objects are maps: `__proto__` is a name like any other. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** Deepest nesting: configs and headers have four levels at most, and crafted files must stay off the call stack. */
const MAX_DEPTH = 64;

/**
 * Most objects and arrays: a tokenizer of 250,000 pieces has one array for each. An empty one takes two bytes of a file
 * and a hundred times that here.
 */
const MAX_CONTAINERS = 1_000_000;

/**
 * Reads RFC 8259 JSON. `JSON.parse` will not do for files that nobody vouches for: it keeps the last of two equal keys
 * silently and does not say where it failed. `what` names the file and part for errors; `readNumber` makes values of
 * numbers as they are written.
 */
export function parseJson(text: string, what: string, readNumber: (digits: string) => JsonValue = Number): JsonValue {
  const parser: Parser = { text, what, readNumber, at: 0, containersLeft: MAX_CONTAINERS };
  const value = parseValue(parser, 0);
  skipSpace(parser);
  if (parser.at < text.length) fail(parser, 'has text after its end');
  return value;
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return value instanceof Map;
}

/** A value as JSON text, cut short, for messages. */
export function jsonText(value: JsonValue): string {
  if (isObject(value)) return 'an object';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

interface Parser {
  readonly text: string;
  readonly what: string;
  readonly readNumber: (digits: string) => JsonValue;
  at: number;
  containersLeft: number;
}

const LITERALS = [
  ['null', null],
  ['true', true],
  ['false', false],
] as const;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function parseValue(parser: Parser, depth: number): JsonValue {
  skipSpace(parser);
  const { text, at } = parser;
  const first = text[at];
  if (first === '"') return parseString(parser);
  if (first === '{' || first === '[') {
    if (depth === MAX_DEPTH) fail(parser, `is nested deeper than ${MAX_DEPTH} levels`);
    if (parser.containersLeft-- === 0) fail(parser, `has more than ${MAX_CONTAINERS} objects and arrays`);
    return first === '{' ? parseObject(parser, depth + 1) : parseArray(parser, depth + 1);
  }
  for (const [word, value] of LITERALS) {
    if (!text.startsWith(word, at)) continue;
    parser.at += word.length;
    return value;
  }
  NUMBER.lastIndex = at;
  const digits = NUMBER.exec(text)?.[0];
  if (digits === undefined) return fail(parser, notJson(parser));
  parser.at += digits.length;
  return parser.readNumber(digits);
}

function parseObject(parser: Parser, depth: number): JsonObject {
  const object = new Map<string, JsonValue>();
  parser.at++;
  if (skipTo(parser, '}')) return object;
  for (;;) {
    skipSpace(parser);
    const keyAt = parser.at;
    if (parser.text[keyAt] !== '"') fail(parser, notJson(parser));
    const key = parseString(parser);
    if (object.has(key)) {
      parser.at = keyAt;
      fail(parser, `${JSON.stringify(key)} occurs twice`);
    }
    if (!skipTo(parser, ':')) fail(parser, notJson(parser));
    object.set(key, parseValue(parser, depth));
    if (skipTo(parser, '}')) return object;
    if (!skipTo(parser, ',')) fail(parser, notJson(parser));
  }
}

function parseArray(parser: Parser, depth: number): JsonValue[] {
  const array: JsonValue[] = [];
  parser.at++;
  if (skipTo(parser, ']')) return array;
  for (;;) {
    array.push(parseValue(parser, depth));
    if (skipTo(parser, ']')) return array;
    if (!skipTo(parser, ',')) fail(parser, notJson(parser));
  }
}

function parseString(parser: Parser): string {
  const { text, at: start } = parser;
  let isPlain = true;
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) break;
    if (code === BACKSLASH) {
      isPlain = false;
      at++;
    } else if (code < 0x20) {
      parser.at = at;
      fail(parser, 'is not JSON: control character in a string');
    }
  }
  if (at >= text.length) {
    parser.at = text.length;
    fail(parser, notJson(parser));
  }
  parser.at = at + 1;
  if (isPlain) return text.slice(start + 1, at);
  try {
    return JSON.parse(text.slice(start, at + 1)) as string;
  } catch {
    parser.at = start;
    return fail(parser, 'is not JSON: bad escape in a string');
  }
}

function skipSpace(parser: Parser): void {
  const { text } = parser;
  for (;;) {
    const code = text.charCodeAt(parser.at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    parser.at++;
  }
}

/** Steps over the mark if it comes next. */
function skipTo(parser: Parser, mark: string): boolean {
  skipSpace(parser);
  if (parser.text[parser.at] !== mark) return false;
  parser.at++;
  return true;
}

function notJson({ text, at }: Parser): string {
  if (at >= text.length) return 'is not JSON: it ends too early';
  return `is not JSON: unexpected ${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))}`;
}

function fail({ text, what, at }: Parser, problem: string): never {
  let line = 1;
  let lineStart = 0;
  for (let end = text.indexOf('\n'); end >= 0 && end < at; end = text.indexOf('\n', lineStart)) {
    line++;
    lineStart = end + 1;
  }
  throw new MbertError('MALFORMED', `${what}: ${problem} (line ${line}, column ${at - lineStart + 1})`);
}
