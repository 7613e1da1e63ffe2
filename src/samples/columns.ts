import { listNames, MbertError } from '../errors.ts';

/** Columns that the user names, for files whose own names say nothing. */
export interface ColumnNames {
  readonly text?: string | undefined;
  /** Second text of a pair. */
  readonly pair?: string | undefined;
  readonly label?: string | undefined;
}

/** Columns that samples are taken from, by their names in the file. */
export interface Columns {
  readonly texts: readonly [string] | readonly [string, string];
  readonly label: string | undefined;
}

/** Text columns that data sets have, pairs first: a row with question and sentence is a pair. */
const TEXT_COLUMNS = [
  ['sentence1', 'sentence2'],
  ['question1', 'question2'],
  ['question', 'context'],
  ['question', 'sentence'],
  ['query', 'passage'],
  ['anchor', 'positive'],
  ['text', 'text_pair'],
  ['premise', 'hypothesis'],
  ['sentence'],
  ['text'],
  ['review'],
  ['content'],
  ['comment'],
  ['utterance'],
  ['message'],
  ['tweet'],
] as const;

const LABEL_COLUMNS = ['label', 'labels', 'target', 'class', 'sentiment'] as const;

/** The way out where columns are not known by their names. */
export const COLUMNS_HINT = '--text NAME, --pair NAME and --label NAME say which columns to read';

/**
 * Finds the columns of samples among a file's own names: those that the user asks for, else those of names that data
 * sets have, in any case. Undefined where no text column is known. Throws MISMATCH for one that is asked for and not
 * there.
 */
export function findColumns(names: readonly string[], asked: ColumnNames, what: string): Columns | undefined {
  const known = (name: string) =>
    names.includes(name) ? name : names.find((other) => other.trim().toLowerCase() === name);
  const label = asked.label ?? firstOf(LABEL_COLUMNS.map(known));
  for (const name of [asked.text, asked.pair, asked.label]) if (name !== undefined) requireColumn(names, name, what);
  if (asked.text !== undefined) {
    return { texts: asked.pair === undefined ? [asked.text] : [asked.text, asked.pair], label };
  }
  for (const [first, second] of TEXT_COLUMNS) {
    const text = known(first);
    if (text === undefined || text === label) continue;
    if (second === undefined) return { texts: asked.pair === undefined ? [text] : [text, asked.pair], label };
    const pair = known(second);
    if (pair !== undefined && asked.pair === undefined) return { texts: [text, pair], label };
  }
  return undefined;
}

/** Whether the user's names, or names that are known, are all there. */
export function hasColumns(names: readonly string[], asked: ColumnNames): boolean {
  const wanted = [asked.text, asked.pair].filter((name) => name !== undefined);
  if (wanted.some((name) => !names.includes(name))) return false;
  return findColumns(names, { text: asked.text, pair: asked.pair }, '') !== undefined;
}

function requireColumn(names: readonly string[], name: string, what: string): void {
  if (names.includes(name)) return;
  throw new MbertError('MISMATCH', `${what}: has no column ${name}`, { hint: `it has ${listNames(names)}` });
}

function firstOf<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined);
}
