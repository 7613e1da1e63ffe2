import type { Task } from '../../models/index.ts';
import type { Answer, Reading } from '../evaluate/answers.ts';
import type { Inputs } from './inputs.ts';
import type { Flip, Flips } from './types.ts';

/** Tasks whose answer to a sample is one choice among classes, whose scores are the answer's values. */
const OF_CLASSES: ReadonlySet<Task> = new Set(['sequence-classification', 'next-sentence', 'multiple-choice']);

/** Flips that a result lists: enough to read through, the surest answers first. */
const MAX_SHOWN = 50;

/** Collects samples that the model answers otherwise than the reference. */
export class FlipList {
  readonly #inputs: Inputs;
  readonly #task: Task | undefined;
  readonly #areLabels: boolean;
  readonly #flips: Flip[] = [];

  constructor({ task, logitsKind }: Pick<Reading, 'task' | 'logitsKind'>, inputs: Inputs) {
    this.#inputs = inputs;
    this.#task = task;
    this.#areLabels = logitsKind === 'multi-label';
  }

  /** Adds sample `i` where its answer has changed. */
  add(i: number, reference: Answer, actual: Answer): void {
    const [from, to] = [reference.choices[0] ?? -1, actual.choices[0] ?? -1];
    const isEqual = this.#areLabels ? reference.choices.join() === actual.choices.join() : from === to;
    if (!hasOneChoice(this.#task) || isEqual) return;
    const { texts, labels, classNames } = this.#inputs;
    const valid = this.#inputs.rows[i]?.inputIds.length ?? 1;
    const name = (choice: number) => choiceName(choice, this.#task, classNames, valid);
    this.#flips.push({
      sample: i + 1,
      texts: texts?.[i] ?? null,
      label: labels?.kind === 'classes' ? name(labels.values[i] as number) : null,
      reference: this.#areLabels ? labelNames(reference, classNames) : name(from),
      model: this.#areLabels ? labelNames(actual, classNames) : name(to),
      ...(this.#task !== 'qa' &&
        !this.#areLabels && { margins: { reference: margin(reference.values), model: margin(actual.values) } }),
    });
  }

  /** The flips with the surest answers of the reference first; null where answers are no single choices. */
  result(): Flips | null {
    if (!hasOneChoice(this.#task)) return null;
    const surest = this.#flips.toSorted((a, b) => (b.margins?.reference ?? 0) - (a.margins?.reference ?? 0));
    return { count: this.#flips.length, shown: surest.slice(0, MAX_SHOWN) };
  }
}

/** True for tasks whose answer to a sample is one choice that has a name. */
export function hasOneChoice(task: Task | undefined): boolean {
  return task === 'qa' || (task !== undefined && OF_CLASSES.has(task));
}

/**
 * Names a class, or the tokens with the largest logits of a span, start and end each for itself, in a row of `valid`
 * tokens; a model that gives NaN has no answer.
 */
export function choiceName(
  choice: number,
  task: Task | undefined,
  classNames: readonly string[] | undefined,
  valid: number,
): string {
  if (choice < 0) return 'none';
  if (task !== 'qa') return classNames?.[choice] ?? String(choice);
  return `start ${Math.floor(choice / valid)}, end ${choice % valid}`;
}

/** Names the labels that apply. */
export function labelNames({ choices }: Answer, names: readonly string[] | undefined): string {
  if (choices.includes(-1)) return 'none';
  const applying = choices.flatMap((applies, i) => (applies === 1 ? [names?.[i] ?? String(i)] : []));
  return applying.length > 0 ? applying.join(', ') : 'no label';
}

/** Lead of the largest score over the second one; of one score alone there is none. */
function margin(scores: Float32Array): number | null {
  let [first, second] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (score > first) [first, second] = [score, first];
    else if (score > second) second = score;
  }
  const lead = first - second;
  return Number.isFinite(lead) ? lead : null;
}
