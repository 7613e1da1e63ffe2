import { MbertError } from '../../errors.ts';
import { type View, viewRows } from '../../samples/views.ts';
import { type Answer, Comparison, type Reading } from '../evaluate/answers.ts';
import type { Loader } from '../evaluate/in-turn.ts';
import { choiceName, hasOneChoice, labelNames } from './flips.ts';
import type { Inputs } from './inputs.ts';
import { compareOutputs, type OutputsOptions } from './outputs.ts';
import type { PartedText, ViewAgreement, ViewsAgreement } from './types.ts';
import { type DistanceMeasure, distanceOf } from './view-distances.ts';

/** Texts of a view that a result lists: enough to see what they have in common. */
const MAX_PARTED = 20;

/** Seed of masked tokens where the user gives none. */
const DEFAULT_SEED = 1;

/** Throws USAGE for views that the inputs cannot be shown in. */
export function checkViews(views: readonly View[], { data, mask }: Inputs): void {
  if (views.includes('masked') && mask === undefined) {
    throw new MbertError('USAGE', `--views masked: ${data}: the vocabulary that reads it has no [MASK]`, {
      hint: 'leave masked out, or give a vocabulary with --vocab',
    });
  }
}

/**
 * Runs both models on the views besides `full`, whose answers the comparison of the outputs has already given to
 * `full`.
 */
export async function compareViews(
  model: Loader,
  reference: Loader,
  full: ViewSums | undefined,
  options: OutputsOptions & { readonly views: readonly View[] },
): Promise<ViewsAgreement | null> {
  const { inputs, views } = options;
  const { mask, seed, rows } = inputs;
  const results: ViewAgreement[] = [];
  let measure = full?.measure;
  if (full) results.push(full.result());
  const others = views.filter((view) => view !== 'full');
  for (const [done, view] of others.entries()) {
    const shown = { ...inputs, labels: undefined, rows: viewRows(rows, view, { mask, seed: seed ?? DEFAULT_SEED }) };
    const sums = new ViewSums(view, options, shown);
    await compareOutputs(model, reference, {
      ...options,
      inputs: shown,
      heard: (i, expected, actual) => sums.add(i, expected, actual),
      progress: (i, total) => options.progress(done * total + i, others.length * total),
    });
    results.push(sums.result());
    measure = sums.measure;
  }
  return measure === undefined ? null : { measure, views: results };
}

/** Sums up how two models agree on what a view shows of each text. */
export class ViewSums {
  readonly #view: View;
  readonly #reading: Pick<Reading, 'task' | 'logitsKind'>;
  readonly #inputs: Inputs;
  readonly #comparison = new Comparison();
  readonly #texts: PartedText[] = [];
  #measure: DistanceMeasure = 'probability';

  /** `inputs` are those of the view. */
  constructor(view: View, reading: Pick<Reading, 'task' | 'logitsKind'>, inputs: Inputs) {
    this.#view = view;
    this.#reading = reading;
    this.#inputs = inputs;
  }

  /** Adds the answers to sample `i`. */
  add(i: number, reference: Answer, actual: Answer): void {
    const { texts, classNames, rows } = this.#inputs;
    const valid = rows[i]?.inputIds.length ?? 1;
    const { measure, between } = distanceOf(this.#reading, reference);
    const distance = between(reference, actual, valid);
    const { task, logitsKind } = this.#reading;
    const name = (answer: Answer) => {
      const { values, choices } = answer;
      if (logitsKind === 'multi-label') return labelNames(answer, classNames);
      if (measure === 'difference') return (values[0] as number).toPrecision(4);
      return hasOneChoice(task) ? choiceName(choices[0] ?? -1, task, classNames, valid) : null;
    };
    this.#measure = measure;
    this.#comparison.add(reference, actual);
    this.#texts.push({
      sample: i + 1,
      texts: texts?.[i] ?? null,
      reference: name(reference),
      model: name(actual),
      distance: Number.isFinite(distance) ? distance : null,
    });
  }

  get measure(): DistanceMeasure {
    return this.#measure;
  }

  result(): ViewAgreement {
    const distances = this.#texts.map(({ distance }) => distance ?? Number.NaN);
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    const { agreement } = this.#comparison;
    return {
      view: this.#view,
      samples: this.#texts.length,
      agreement: Number.isFinite(agreement) ? agreement : null,
      meanDistance: Number.isFinite(mean) ? mean : null,
      // A text without a distance is the worst one: an answer there is no number.
      parted: this.#texts
        .toSorted((a, b) => (b.distance ?? Number.MAX_VALUE) - (a.distance ?? Number.MAX_VALUE))
        .slice(0, MAX_PARTED),
    };
  }
}
