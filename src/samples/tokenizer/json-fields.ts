import { malformed } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText } from '../../formats/json.ts';

/** Readers of one object's fields; `what` names it in errors. Null counts as absent, as serde has it. */
export interface Fields {
  readonly what: string;
  /** Type that the object names, empty where it names none. */
  readonly type: string;
  /** True where the key is there, be it null. */
  has(key: string): boolean;
  value(key: string): JsonValue | undefined;
  text(key: string): string | undefined;
  flag(key: string): boolean | undefined;
  integer(key: string): number | undefined;
  list(key: string): readonly JsonValue[] | undefined;
  object(key: string): JsonObject | undefined;
}

/** Throws MALFORMED where the value is no object, and later where a field is of another type than asked for. */
export function fieldsOf(json: JsonValue | undefined, what: string): Fields {
  if (!isObject(json)) throw malformed(what, `is ${json === undefined ? 'absent' : jsonText(json)}, not an object`);
  const value = (key: string): JsonValue | undefined => json.get(key) ?? undefined;
  const read =
    <T extends JsonValue>(wanted: string, is: (value: JsonValue) => value is T) =>
    (key: string): T | undefined => {
      const found = value(key);
      if (found === undefined || is(found)) return found;
      throw malformed(what, `${key}: is ${jsonText(found)}, not ${wanted}`);
    };
  const text = read('text', (found) => typeof found === 'string');
  return {
    what,
    type: text('type') ?? '',
    has: (key) => json.has(key),
    value,
    text,
    flag: read('true or false', (found) => typeof found === 'boolean'),
    integer: read('a whole number', (found): found is number => Number.isSafeInteger(found) && Number(found) >= 0),
    list: read('a list', (found): found is readonly JsonValue[] => Array.isArray(found)),
    object: read('an object', isObject),
  };
}

/** Plain objects and arrays, as libraries take JSON. */
export function plain(value: JsonValue): unknown {
  if (isObject(value)) return Object.fromEntries([...value].map(([key, part]) => [key, plain(part)]));
  return Array.isArray(value) ? value.map(plain) : value;
}
