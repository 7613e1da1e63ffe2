import type { TokenRow } from '../../samples/feeds.ts';
import { type View, viewed } from '../../samples/views.ts';
import { randomNumbers, shuffled } from '../../solve/random-numbers.ts';
import type { LabelledRow } from '../evaluate/sample-sets.ts';

/** A text as teacher and student read it. */
export interface Lesson {
  readonly teacher: TokenRow;
  readonly student: TokenRow;
  readonly label: number | undefined;
}

/** Share of sequences that are changed: joined with another one, and with other words in it. */
const CHANGED = 0.5;

/** Share of a changed sequence's words that are replaced by any words of the texts. */
const REPLACED = 0.2;

/** Number of batches that are drawn at once, sorted by length and cut, so that little is padded. */
const POOL = 16;

/** Options of `lessons`. */
export interface LessonOptions {
  /** Sequences in a batch. */
  readonly size: number;
  readonly seed: number;
  /** Longest sequence, in tokens. */
  readonly maxLength: number;
  /** What the student sees of a text, batch after batch in turns. */
  readonly views: readonly View[];
  /** Token id of [MASK]; undefined where the vocabulary has none. */
  readonly mask: number | undefined;
}

/** Texts of one step. */
export interface Batch {
  readonly view: View;
  readonly lessons: readonly Lesson[];
}

/**
 * Draws batches of texts to distill on, without end. A few hundred texts alone would be learnt by heart; the teacher has
 * an answer to any text, so half of the sequences are new ones: two joined, some of their words replaced. Those have no
 * label. Same options, same batches.
 */
export function* lessons(
  rows: readonly LabelledRow[],
  { size, seed, maxLength, views, mask }: LessonOptions,
): Generator<Batch, never> {
  const random = randomNumbers(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const draw = () => rows[below(rows.length)] as LabelledRow;
  const words = wordsOf(rows);
  const next = (): LabelledRow => {
    const row = draw();
    if (random() >= CHANGED) return row;
    return withOtherWords(joined(row, draw(), maxLength), words, random);
  };
  for (let batch = 0; ; ) {
    const pool = Array.from({ length: POOL * size }, next).sort((a, b) => a.inputIds.length - b.inputIds.length);
    for (const at of shuffled(POOL, random)) {
      const view = views[batch++ % views.length] as View;
      const taken = pool.slice(at * size, (at + 1) * size);
      yield {
        view,
        lessons: taken.map((row) => ({ teacher: row, student: viewed(row, view, { random, mask }), label: row.label })),
      };
    }
  }
}

/** Number of batches in which all lengths come in turn. */
export const BATCHES_OF_ALL_LENGTHS = POOL;

/** Tokens of a batch with its padding, as student and teacher read them. */
export function tokensOf({ lessons }: Batch): number {
  const lengthOf = ({ teacher, student }: Lesson) => Math.max(teacher.inputIds.length, student.inputIds.length);
  return lessons.length * Math.max(...lessons.map(lengthOf));
}

/** The rows, and each joined with the next one, to measure a student on texts of their length and on longer ones. */
export function withJoined(rows: readonly TokenRow[], maxLength: number): TokenRow[] {
  return [...rows, ...rows.slice(1).map((next, i) => joined(rows[i] as TokenRow, next, maxLength))];
}

/** Token ids that stand between the first and the last token of a sequence, each once, separators left out. */
function wordsOf(rows: readonly TokenRow[]): number[] {
  const words = new Set<number>();
  for (const { inputIds } of rows) for (const id of inputIds.slice(1, -1)) words.add(id);
  for (const { inputIds } of rows) for (const id of frame(inputIds)) words.delete(id);
  return [...words].sort((a, b) => a - b);
}

/** The ids of [CLS] and [SEP], whatever a vocabulary calls them: the first and the last of a sequence. */
function frame(ids: readonly number[]): readonly number[] {
  return [ids[0] as number, ids.at(-1) as number];
}

/** Joins two single texts into one; a pair of texts stays as it is. */
function joined(a: TokenRow, b: TokenRow, maxLength: number): TokenRow {
  const isPair = (row: TokenRow) => row.tokenTypeIds.some((type) => type !== 0);
  if (isPair(a) || isPair(b) || a.inputIds.length < 3 || b.inputIds.length < 3) return a;
  const [, end] = frame(a.inputIds) as readonly [number, number];
  const inputIds = [...a.inputIds.slice(0, -1), ...b.inputIds.slice(1, -1)].slice(0, maxLength - 1);
  inputIds.push(end);
  return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
}

/** Replaces some words of a text by any, so that its label does not hold any more. */
function withOtherWords(row: TokenRow, words: readonly number[], random: () => number): LabelledRow {
  if (words.length === 0) return row;
  const special = frame(row.inputIds);
  const inputIds = row.inputIds.map((id) =>
    special.includes(id) || random() >= REPLACED ? id : (words[Math.floor(random() * words.length)] as number),
  );
  return { inputIds, tokenTypeIds: row.tokenTypeIds };
}
