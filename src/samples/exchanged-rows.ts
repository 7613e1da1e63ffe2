import { randomNumbers } from '../solve/random-numbers.ts';
import type { TokenRow } from './feeds.ts';

/** The share of a row's tokens that are exchanged. */
const EXCHANGED = 0.5;

/**
 * Makes rows that a model has not seen out of some that are there: each again, in turns, with half of its tokens
 * exchanged for tokens of others. A row's first and last token stay, and so does every other one that is equal to them
 * ([CLS] and [SEP]), and all token types. `count` rows; the same rows in, the same rows out.
 */
export function exchangedRows(rows: readonly TokenRow[], count: number): TokenRow[] {
  const inner = (row: TokenRow) => row.inputIds.filter((id) => !isFrame(row, id));
  const words = rows.flatMap(inner);
  if (words.length === 0) return [];
  const random = randomNumbers(0);
  const place = (length: number) => Math.floor(random() * length);
  return Array.from({ length: count }, (_, i) => {
    const row = rows[i % rows.length] as TokenRow;
    const inputIds = row.inputIds.map((id) =>
      !isFrame(row, id) && random() < EXCHANGED ? (words[place(words.length)] as number) : id,
    );
    return { ...row, inputIds };
  });
}

function isFrame({ inputIds }: TokenRow, id: number): boolean {
  return id === inputIds[0] || id === inputIds.at(-1);
}
