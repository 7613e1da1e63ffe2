import { listNames, MbertError } from '../errors.ts';
import { randomNumbers } from '../solve/random-numbers.ts';
import type { TokenRow } from './feeds.ts';

/**
 * Parts of a text that a model is shown, as in cross-view training (Clark et al. 2018, arXiv 1809.08370): all of it, the
 * first or the last half of its tokens, or all with some hidden behind [MASK].
 */
export const VIEWS = ['full', 'left', 'right', 'masked'] as const;

export type View = (typeof VIEWS)[number];

/** Reads the names of views, in their order. Throws USAGE for others. */
export function readViews(names: readonly string[]): readonly View[] {
  const isView = (name: string): name is View => VIEWS.some((view) => view === name);
  const unknown = names.filter((name) => !isView(name));
  if (unknown.length > 0) {
    throw new MbertError('USAGE', `--views: no view is called ${listNames(unknown)}`, {
      hint: `views are ${VIEWS.join(', ')}`,
    });
  }
  return names.filter(isView);
}

/** Share of a text's tokens that the masked view hides: what BERT was pretrained with. */
const MASKED_SHARE = 0.15;

/** What views draw from. */
interface ViewOptions {
  /** Id of [MASK], which the masked view needs. */
  readonly mask: number | undefined;
  readonly random: () => number;
}

/**
 * Makes what a view shows of a row. Special tokens stay; each text of a pair is halved for itself, and an odd token in
 * the middle is in both halves.
 */
export function viewed(row: TokenRow, view: View, { mask, random }: ViewOptions): TokenRow {
  if (view === 'left') return halfOf(row, (length) => [0, Math.ceil(length / 2)]);
  if (view === 'right') return halfOf(row, (length) => [Math.floor(length / 2), length]);
  return view === 'full' || mask === undefined ? row : masked(row, mask, random);
}

/** Makes what a view shows of each row. Same seed, same rows. */
export function viewRows(
  rows: readonly TokenRow[],
  view: View,
  { mask, seed }: { readonly mask: number | undefined; readonly seed: number },
): readonly TokenRow[] {
  const random = randomNumbers(seed);
  return rows.map((row) => viewed(row, view, { mask, random }));
}

/** First and last place behind it of each run of tokens that are not special, in order. */
function textsOf({ inputIds }: TokenRow): (readonly [start: number, end: number])[] {
  const [first, last] = [inputIds[0], inputIds.at(-1)];
  const texts: (readonly [number, number])[] = [];
  let start = 0;
  for (let i = 0; i <= inputIds.length; i++) {
    if (i < inputIds.length && inputIds[i] !== first && inputIds[i] !== last) continue;
    if (i > start) texts.push([start, i]);
    start = i + 1;
  }
  return texts;
}

function halfOf(row: TokenRow, half: (length: number) => readonly [from: number, to: number]): TokenRow {
  const isKept = new Array<boolean>(row.inputIds.length).fill(true);
  for (const [start, end] of textsOf(row)) {
    const [from, to] = half(end - start);
    isKept.fill(false, start, start + from).fill(false, start + to, end);
  }
  const kept = (values: readonly number[]) => values.filter((_, i) => isKept[i]);
  return { inputIds: kept(row.inputIds), tokenTypeIds: kept(row.tokenTypeIds) };
}

/** Hides a share of the tokens, one at least, so that the view of a short text is one as well. */
function masked(row: TokenRow, mask: number, random: () => number): TokenRow {
  const places = textsOf(row).flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i));
  if (places.length === 0) return row;
  const inputIds = [...row.inputIds];
  const always = places[Math.floor(random() * places.length)];
  for (const place of places) if (place === always || random() < MASKED_SHARE) inputIds[place] = mask;
  return { ...row, inputIds };
}
