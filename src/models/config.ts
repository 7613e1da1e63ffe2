import { type ErrorCode, MbertError } from '../errors.ts';
import { type ClassNames, readClassNames } from '../formats/class-names.ts';
import { isObject, type JsonObject, type JsonValue, jsonText } from '../formats/json.ts';

/** Largest size: kernels of TFLite and ONNX Runtime hold a dimension in 32 bits, so no larger model can be written. */
const MAX_SIZE = 2 ** 31 - 1;

/** A number that config.json claims, for the comparison with the weights. */
export interface ClaimedSize {
  readonly key: string;
  readonly value: number;
  /** True where the key is absent and the value is transformers' default. */
  readonly isDefault: boolean;
}

/** Reader of a config.json with transformers' defaults. Problems are gathered, so that one run shows them all. */
export interface ConfigReader {
  readonly path: string;
  /** Whether the config names the key, whatever its value. */
  has(key: string): boolean;
  /** Reads a positive integer. */
  size(key: string, fallback: number): ClaimedSize;
  /** Reads an integer from 0 on. */
  index(key: string, fallback: number): number;
  /** Reads a positive number. */
  positive(key: string, fallback: number): number;
  flag(key: string, fallback: boolean): boolean;
  /** Reads a whole number of any sign; transformers says with -1 or 0 that there is none. */
  integer(key: string, fallback: number): ClaimedSize;
  /** Reads a list of words, also where it is one text with bars between them; undefined where the key is absent. */
  words(key: string): readonly string[] | undefined;
  /** Opens an object within the config, whose problems are those of the config; undefined where the key is absent. */
  object(key: string): ConfigReader | undefined;
  /** Reads one of the names of a table, as what it stands for. */
  choice<T>(key: string, table: ReadonlyMap<string, T>, fallback: string): T;
  /** Refuses values of a key that change what the model computes. */
  demand(key: string, allowed: JsonValue, problem: string): void;
  /** Adds a problem that concerns several keys. */
  refuse(key: string, problem: string): void;
  /** Throws the problems, a line each. */
  finish(): void;
}

export function readConfig(config: JsonObject, path: string): ConfigReader {
  return readObject(config, path, '', []);
}

/** Opens a reader of one object; `within` stands before the keys in messages. */
function readObject(config: JsonObject, path: string, within: string, problems: Problem[]): ConfigReader {
  const refuse = (key: string, text: string, code: ErrorCode = 'MALFORMED') => {
    problems.push({ code, line: `${path}: ${within}${key}: ${text}` });
  };
  return {
    path,
    has: (key) => config.has(key),
    refuse,
    size(key, fallback) {
      const value = config.get(key);
      if (value === undefined) return { key, value: fallback, isDefault: true };
      if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MAX_SIZE) {
        return { key, value, isDefault: false };
      }
      refuse(key, `must be a positive integer${isTooLarge(value) ? ` up to ${MAX_SIZE}` : ''}, got ${jsonText(value)}`);
      return { key, value: fallback, isDefault: true };
    },
    index(key, fallback) {
      const value = config.get(key) ?? fallback;
      if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_SIZE) return value;
      refuse(key, `must be an integer from 0 to ${MAX_SIZE}, got ${jsonText(value)}`);
      return fallback;
    },
    positive(key, fallback) {
      const value = config.get(key) ?? fallback;
      if (typeof value === 'number' && value > 0) return value;
      refuse(key, `must be a positive number, got ${jsonText(value)}`);
      return fallback;
    },
    flag(key, fallback) {
      const value = config.get(key) ?? fallback;
      if (typeof value === 'boolean') return value;
      refuse(key, `must be true or false, got ${jsonText(value)}`);
      return fallback;
    },
    integer(key, fallback) {
      const value = config.get(key) ?? undefined;
      if (value === undefined) return { key, value: fallback, isDefault: true };
      if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MAX_SIZE) {
        return { key, value, isDefault: false };
      }
      refuse(key, `must be an integer, got ${jsonText(value)}`);
      return { key, value: fallback, isDefault: true };
    },
    words(key) {
      const value = config.get(key) ?? undefined;
      const list = typeof value === 'string' ? value.split('|').map((word) => word.trim()) : value;
      if (list === undefined || (Array.isArray(list) && list.every((word) => typeof word === 'string'))) return list;
      refuse(key, `must be a list of words, got ${jsonText(list)}`);
      return undefined;
    },
    object(key) {
      const value = config.get(key) ?? undefined;
      if (isObject(value)) return readObject(value, path, `${within}${key}.`, problems);
      if (value !== undefined) refuse(key, `must be an object, got ${jsonText(value)}`);
      return undefined;
    },
    choice(key, table, fallback) {
      const value = config.get(key) ?? fallback;
      const chosen = typeof value === 'string' ? table.get(value) : undefined;
      if (chosen !== undefined) return chosen;
      refuse(key, `${jsonText(value)} is not supported; supported: ${[...table.keys()].join(', ')}`, 'UNSUPPORTED');
      return table.get(fallback) as NonNullable<typeof chosen>;
    },
    demand(key, allowed, problem) {
      const value = config.get(key) ?? allowed;
      if (value !== allowed) refuse(key, `${jsonText(value)} is not supported: ${problem}`, 'UNSUPPORTED');
    },
    finish: () => throwProblems(problems),
  };
}

function isTooLarge(value: JsonValue): boolean {
  return typeof value === 'number' && value > MAX_SIZE;
}

/** Refuses a number of heads that does not divide the width that they share. */
export function refuseUnequalHeads(config: ConfigReader, key: string, width: ClaimedSize, heads: number): void {
  if (width.value % heads === 0) return;
  config.refuse(key, `${width.key} ${width.value} is not divisible by ${heads} heads`);
}

/** A problem, worded `file: part: problem`. */
export interface Problem {
  readonly code: ErrorCode;
  readonly line: string;
}

/** Most problems that are told: a damaged file can have one in each of a thousand weights. */
const MAX_LINES = 8;

/** Throws one error for all problems, a line each, if there are any. */
export function throwProblems(problems: readonly Problem[], hint?: string): void {
  const [first] = problems;
  if (first === undefined) return;
  const lines = problems.slice(0, MAX_LINES).map(({ line }) => line);
  if (problems.length > MAX_LINES) lines.push(`and ${problems.length - MAX_LINES} more problems`);
  const [message = '', ...more] = lines;
  throw new MbertError(first.code, message, { more, ...(hint !== undefined && { hint }) });
}

/** Names of the classes in their order, from id2label; undefined where the config has none. */
export function readLabels(config: JsonObject, reader: ConfigReader): ClassNames | undefined {
  const names = config.get('id2label') ?? undefined;
  if (names === undefined) return undefined;
  if (!isObject(names) || names.size === 0) {
    reader.refuse('id2label', `must be an object of names, got ${jsonText(names)}`);
    return undefined;
  }
  const classes = readClassNames(names);
  if (classes === undefined) reader.refuse('id2label', 'has a key that is no number');
  return classes;
}

/** Name of the class that transformers would build, e.g. `MobileBertForQuestionAnswering`. */
export function readArchitectureName(config: JsonObject): string | undefined {
  const names = config.get('architectures');
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  return typeof first === 'string' ? first : undefined;
}
