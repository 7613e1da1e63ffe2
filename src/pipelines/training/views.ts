import type { TokenRow } from '../../samples/feeds.ts';

/** Parts of a text that a student sees while its teacher sees all of it (cross-view training, Clark et al. 2018). */
export const VIEWS = ['full', 'left', 'right', 'masked'] as const;
export type View = (typeof VIEWS)[number];

/** Share of words that a masked view hides: as many as BERT was trained to guess. */
const MASKED = 0.15;

/** What views draw from. */
interface ViewOptions {
  readonly random: () => number;
  /** Token id of [MASK]. */
  readonly mask: number | undefined;
}

/**
 * The part of a text that a view shows. Halves keep the first and the last token, and a text of one word or of two parts
 * is shown as it is: half of a pair would be another question.
 */
export function viewed(row: TokenRow, view: View, { random, mask }: ViewOptions): TokenRow {
  const { inputIds, tokenTypeIds } = row;
  if (view === 'full') return row;
  if (view === 'masked') {
    const last = inputIds.length - 1;
    const ids = inputIds.map((id, i) => (i > 0 && i < last && random() < MASKED ? (mask ?? id) : id));
    return { inputIds: ids, tokenTypeIds };
  }
  const words = inputIds.slice(1, -1);
  if (words.length < 2 || tokenTypeIds.some((type) => type !== 0)) return row;
  const middle = Math.ceil(words.length / 2);
  const seen = view === 'left' ? words.slice(0, middle) : words.slice(middle);
  const ids = [inputIds[0] as number, ...seen, inputIds.at(-1) as number];
  return { inputIds: ids, tokenTypeIds: ids.map(() => 0) };
}
