/** Units that can be removed from one group, in a fixed order. */
export interface BudgetGroup {
  /** The error once so many steps are gone, the first entry being 0. */
  readonly errors: Float64Array;
  /** What each step saves. */
  readonly saving: number;
}

/**
 * Chooses how many steps of each group go so that at least `saving` is saved and the sum of errors is small: steps that
 * cost least for what they save go first, neighbouring ones together where the later are cheaper than the earlier. Takes
 * all where all are not enough.
 */
export function chooseSteps(groups: readonly BudgetGroup[], saving: number): number[] {
  const segments = groups.flatMap(({ errors, saving: each }, group) =>
    hullOf(errors).map(({ from, to }) => ({
      group,
      to,
      price: ((errors[to] as number) - (errors[from] as number)) / ((to - from) * each),
    })),
  );
  segments.sort((a, b) => a.price - b.price || a.group - b.group);
  const steps = groups.map(() => 0);
  let saved = 0;
  for (const { group, to } of segments) {
    const { saving: each } = groups[group] as BudgetGroup;
    while (saved < saving && (steps[group] as number) < to) {
      steps[group] = (steps[group] as number) + 1;
      saved += each;
    }
  }
  return steps;
}

/** The segments of the lower convex hull of a curve. */
function hullOf(values: Float64Array): { readonly from: number; readonly to: number }[] {
  const corners: number[] = [];
  const slope = (from: number, to: number) => ((values[to] as number) - (values[from] as number)) / (to - from);
  for (let i = 0; i < values.length; i++) {
    for (;;) {
      const [before, last] = [corners.at(-2), corners.at(-1)];
      if (before === undefined || last === undefined || slope(before, last) < slope(last, i)) break;
      corners.pop();
    }
    corners.push(i);
  }
  return corners.slice(1).map((to, i) => ({ from: corners[i] as number, to }));
}
