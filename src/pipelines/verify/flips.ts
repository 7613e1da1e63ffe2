import type { Task } from '../../models/index.ts';
import type { Answer } from '../evaluate/answers.ts';
import type { Inputs } from './inputs.ts';
import type { Flip, Flips } from './types.ts';

/** Tasks whose answer to a sample is one choice among classes, whose scores are the answer's values. */
const OF_CLASSES: ReadonlySet<Task> = new Set(['sequence-classification', 'next-sentence', 'multiple-choice']);

/** Flips that a result lists: enough to read through, the surest answers first. */
const MAX_SHOWN = 50;

/** Collects samples that the model answers otherwise than the reference. */
export class FlipList {
  readonly #inputs: Inputs;
  readonly #isSpan: boolean;
  readonly #isOfClasses: boolean;
  readonly #flips: Flip[] = [];

  constructor(task: Task | undefined, inputs: Inputs) {
    this.#inputs = inputs;
    this.#isSpan = task === 'qa';
    this.#isOfClasses = task !== undefined && OF_CLASSES.has(task);
  }

  /** Adds sample `i` where its answer has changed. */
  add(i: number, reference: Answer, actual: Answer): void {
    const [from, to] = [reference.choices[0] ?? -1, actual.choices[0] ?? -1];
    if (!(this.#isSpan || this.#isOfClasses) || from === to) return;
    const { texts, labels } = this.#inputs;
    const label = labels?.kind === 'classes' ? this.#name(labels.values[i] as number, i) : null;
    this.#flips.push({
      sample: i + 1,
      texts: texts?.[i] ?? null,
      label,
      reference: this.#name(from, i),
      model: this.#name(to, i),
      ...(this.#isOfClasses && { margins: { reference: margin(reference.values), model: margin(actual.values) } }),
    });
  }

  /** Name of a class, or the tokens with the largest logits of a span, start and end each for itself; a model that gives NaN has no answer. */
  #name(choice: number, i: number): string {
    if (choice < 0) return 'none';
    if (!this.#isSpan) return this.#inputs.classNames?.[choice] ?? String(choice);
    const valid = this.#inputs.rows[i]?.inputIds.length ?? 1;
    return `start ${Math.floor(choice / valid)}, end ${choice % valid}`;
  }

  /** The flips with the surest answers of the reference first; null where answers are no single choices. */
  result(): Flips | null {
    if (!(this.#isSpan || this.#isOfClasses)) return null;
    const surest = this.#flips.toSorted((a, b) => (b.margins?.reference ?? 0) - (a.margins?.reference ?? 0));
    return { count: this.#flips.length, shown: surest.slice(0, MAX_SHOWN) };
  }
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
