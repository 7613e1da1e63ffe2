import { type FormCosts, savedBytes } from './form-costs.ts';
import type { Latencies } from './latency.ts';
import { mostSaved } from './propose.ts';
import type { Score } from './score-candidates.ts';
import type { Budget } from './types.ts';

/** A budget for one form, in the budget's own unit: bytes, or shares of the time of the teacher's float file. */
export interface Terms {
  /** What a change saves. */
  readonly savingOf: (score: Score) => number;
  /** What the teacher takes in this form. */
  readonly teacher: number;
  /** How much that is above the budget. */
  readonly needed: number;
}

/**
 * Puts a budget into the terms of a form. A change is expected to save the same share of the time in every form as it
 * does in floats, in which layers are timed; what is written is timed as it is.
 */
export function termsOf(budget: Budget, form: FormCosts, latencies: Latencies | undefined): Terms {
  if (budget.kind === 'size') {
    return { savingOf: (score) => savedBytes(form, score), teacher: form.bytes, needed: form.bytes - budget.bytes };
  }
  const { teacher, saved } = latencies as Latencies;
  const savingOf = (score: Score) => (form.time * (saved.get(score) ?? 0)) / teacher;
  return { savingOf, teacher: form.time, needed: form.time - budget.ratio };
}

/** The least that a model in this form is expected to take. */
export function leastOf(
  budget: Budget,
  form: FormCosts,
  { scores, latencies }: { readonly scores: readonly Score[]; readonly latencies: Latencies | undefined },
): number {
  const { savingOf, teacher } = termsOf(budget, form, latencies);
  return Math.max(0, teacher - mostSaved(scores, savingOf, form.narrow));
}
