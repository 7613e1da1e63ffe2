import { createHash } from 'node:crypto';
import type { TokenRow } from './feeds.ts';

/** The SHA-256 of sequences of tokens, in hex: what was computed on them holds for these alone. */
export function rowsDigest(rows: readonly TokenRow[]): string {
  const hash = createHash('sha256');
  for (const { inputIds, tokenTypeIds } of rows) hash.update(`${inputIds.join()} ${tokenTypeIds.join()}\n`);
  return hash.digest('hex');
}
