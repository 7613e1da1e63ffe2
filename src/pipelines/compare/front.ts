/** What a model is chosen by. Times of two formats are of two runtimes, so that models of one format compete. */
export interface Candidate {
  readonly format: string;
  readonly bytes: number;
  readonly ms: number;
  /** Loss in percentage points; NaN counts as everything lost. */
  readonly lost: number;
  readonly failures: readonly string[];
}

/** True where the model may be used and no other one is better in one respect and as good in the others: Pareto's front. */
export function onFront(model: Candidate, all: readonly Candidate[]): boolean {
  return model.failures.length === 0 && !all.some((other) => dominates(other, model));
}

function dominates(a: Candidate, b: Candidate): boolean {
  if (a.format !== b.format || a.failures.length > 0) return false;
  const [x, y] = [criteria(a), criteria(b)];
  return x.every((value, i) => value <= (y[i] as number)) && x.some((value, i) => value < (y[i] as number));
}

/** Numbers of which less is better. */
function criteria({ bytes, ms, lost }: Candidate): readonly number[] {
  return [bytes, ms, Number.isNaN(lost) ? Number.POSITIVE_INFINITY : lost];
}
