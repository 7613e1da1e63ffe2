import { isObject, type JsonValue, parseJson } from './json.ts';

/** A JSON text's values, each number in an array of its own that holds it as it is written: `2.0` is ['2.0']. */
export function numerals(text: string, what: string): JsonValue {
  return parseJson(text, what, (digits) => [digits]);
}

/**
 * JSON text of a value, indented by two spaces. A number that `written` holds at the same place stays as it is written
 * there: transformers 5 refuses 2 for 2.0 where it declares a float.
 */
export function indentedJson(value: JsonValue, written: JsonValue | undefined, indent = ''): string {
  const inner = `${indent}  `;
  const joined = (open: string, parts: readonly string[], close: string) =>
    parts.length === 0 ? `${open}${close}` : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
  if (isObject(value)) {
    const source = isObject(written) ? written : new Map<string, JsonValue>();
    const parts = [...value].map(
      ([key, part]) => `${JSON.stringify(key)}: ${indentedJson(part, source.get(key), inner)}`,
    );
    return joined('{', parts, '}');
  }
  const source: readonly JsonValue[] = Array.isArray(written) ? written : [];
  if (Array.isArray(value))
    return joined(
      '[',
      value.map((part, i) => indentedJson(part, source[i], inner)),
      ']',
    );
  const [digits] = source;
  return typeof value === 'number' && typeof digits === 'string' && Number(digits) === value
    ? digits
    : JSON.stringify(value);
}
