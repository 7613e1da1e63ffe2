/** Version of the JSON that commands print: it changes where a program that reads it would have to. */
const JSON_VERSION = 1;

/** A result as the JSON that commands print, described by `schemas/<command>.schema.json`. */
export function jsonText(result: object): string {
  return JSON.stringify({ version: JSON_VERSION, ...result }, null, 2);
}
