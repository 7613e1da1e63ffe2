/** One way to do a part of a whole: what it saves beside the part as it is, and the error that it brings. */
export interface Option {
  readonly saving: number;
  readonly error: number;
}

/** One option of each part, by their places. */
export interface Choice extends Option {
  readonly picks: readonly number[];
}

/** Ranges of savings that are told apart: of all choices in one, only the best go on. */
const BINS = 512;

/**
 * Chooses one option of each part so that at least `needed` is saved and the sum of errors is small, and returns the
 * `count` best choices, the best first; none where all parts together do not save so much. Parts are joined one after the
 * other; of the choices so far, each range of savings keeps its `count` best (the candidates that NAS-BERT keeps by bins
 * of their cost, arXiv 2105.14444), so that the work grows with the number of parts and not with that of their products.
 */
export function chooseOptions(parts: readonly (readonly Option[])[], needed: number, count: number): readonly Choice[] {
  const width = needed > 0 ? needed / BINS : 1;
  let choices: readonly Choice[] = [{ saving: 0, error: 0, picks: [] }];
  for (const options of parts) choices = keptByBins(joined(choices, options), { width, last: BINS, count });
  return choices
    .filter(({ saving }) => saving >= needed)
    .toSorted(byError)
    .slice(0, count);
}

/**
 * The choices of one option of each part that are worth looking at, whatever has to be saved: in each of `bins` equal
 * ranges of savings the one with the least error.
 */
export function choicesByBins(parts: readonly (readonly Option[])[], bins: number): readonly Choice[] {
  const most = parts.reduce((sum, options) => sum + Math.max(...options.map(({ saving }) => saving)), 0);
  const width = most > 0 ? most / bins : 1;
  let choices: readonly Choice[] = [{ saving: 0, error: 0, picks: [] }];
  for (const options of parts) choices = keptByBins(joined(choices, options), { width, last: bins, count: 1 });
  return choices;
}

function joined(choices: readonly Choice[], options: readonly Option[]): Choice[] {
  return choices.flatMap(({ saving, error, picks }) =>
    options.map((option, place) => ({
      saving: saving + option.saving,
      error: error + option.error,
      picks: [...picks, place],
    })),
  );
}

/** Keeps the choices with the least errors in each range of savings; what saves `last` ranges and more is one range. */
function keptByBins(
  choices: readonly Choice[],
  { width, last, count }: { readonly width: number; readonly last: number; readonly count: number },
): Choice[] {
  const bins = new Map<number, Choice[]>();
  for (const choice of choices.toSorted(byError)) {
    const bin = Math.min(last, Math.floor(choice.saving / width));
    const kept = bins.get(bin) ?? [];
    if (kept.length < count) bins.set(bin, [...kept, choice]);
  }
  return [...bins].sort(([a], [b]) => a - b).flatMap(([, kept]) => kept);
}

/** Orders by error; of equal ones, what saves more comes first, and then by places, so that the order is always the same. */
function byError(a: Choice, b: Choice): number {
  if (a.error !== b.error) return a.error - b.error;
  if (a.saving !== b.saving) return b.saving - a.saving;
  const at = a.picks.findIndex((pick, i) => pick !== b.picks[i]);
  return at < 0 ? 0 : (a.picks[at] as number) - (b.picks[at] as number);
}
