import { escapeControls } from '../printable.ts';

/** Version of the JSON that commands print: it changes where a program that reads it would have to. */
const JSON_VERSION = 1;

/**
 * A result as the JSON that commands print, described by `schemas/<command>.schema.json`. Names of a file are as they are
 * once it is read; until then nothing in it is obeyed by a terminal: JSON itself escapes only what lies below a space.
 */
export function jsonText(result: object): string {
  return JSON.stringify({ version: JSON_VERSION, ...result }, null, 2)
    .split('\n')
    .map(escapeControls)
    .join('\n');
}
