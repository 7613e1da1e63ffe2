import type { TokenRow } from './feeds.ts';

/** Counts how often each token comes, by its id. */
export function countTokens(rows: readonly TokenRow[]): Float64Array {
  const largest = rows.reduce((most, { inputIds }) => inputIds.reduce((a, b) => Math.max(a, b), most), 0);
  const counts = new Float64Array(largest + 1);
  for (const { inputIds } of rows) for (const id of inputIds) counts[id] = (counts[id] as number) + 1;
  return counts;
}
