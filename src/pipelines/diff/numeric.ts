import type { Names, NumericDifference } from '../../diff/difference.ts';
import { limitOf, type Tolerance } from '../../diff/tolerance.ts';
import { listNames, MbertError } from '../../errors.ts';
import { tokenInput } from '../../ir/names.ts';
import { type Dim, shapeText } from '../../ir/shape.ts';
import { joinF32, readF32, type Tensor } from '../../ir/tensor.ts';
import { maxAbsError, sqnr } from '../../metrics/metrics.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { randomSequences } from '../../samples/token-sequences.ts';
import { type ChoicesBy, choicesBy, choicesOf, equalChoices, thresholdOf } from '../evaluate/decisions.ts';
import { openRunner, type Runner } from './runners.ts';
import type { DiffSide } from './sides.ts';

/** The outputs of both models for the same token sequences, compared. */
export interface NumericResult {
  /** Runtime of each model, as `onnxruntime 1.23.0`. */
  readonly a: string;
  readonly b: string;
  readonly sequences: number;
  readonly outputs: readonly OutputResult[];
}

/** One output of both models. */
export interface OutputResult {
  readonly isWithin: boolean;
  /** The measured difference, also where it is within the limit. */
  readonly difference: NumericDifference;
}

const SEED = 1;
const RUNS = 8;
/** Lengths of the sequences where both models leave it open; the first is the longest that tiny models take. */
const LENGTHS = [32, 24, 16, 9, 5, 2] as const;
const DYNAMIC_BATCH = 2;

/**
 * Default tolerance for f32 kernels of two runtimes: rounding relative to the output's largest value, and an absolute
 * floor.
 */
const ROUNDING: Tolerance = { absolute: 1e-4, relative: 5e-5 };

/**
 * Runs both models on seeded token sequences with padding and token types. Throws MISMATCH where shapes or outputs do
 * not fit.
 */
export async function compareOutputs(
  a: DiffSide,
  b: DiffSide,
  how: 'runtime' | 'reference',
  { atol, rtol }: { readonly atol?: number | undefined; readonly rtol?: number | undefined },
): Promise<NumericResult> {
  const runners: Runner[] = [];
  try {
    for (const side of [a, b]) runners.push(await openRunner(side, how));
    const [x, y] = runners as [Runner, Runner];
    const tolerance = { absolute: atol ?? ROUNDING.absolute, relative: rtol ?? ROUNDING.relative };
    const [rowsOfA, rowsOfB] = [a, b].map(({ graph }) => tableRows(graph, 'input_ids', SMALLEST_VOCABULARY));
    const vocabSize = Math.min(rowsOfA as number, rowsOfB as number);
    const { outputs, sequences } = await runBoth(x, y, vocabSize, {
      tolerance,
      valuesOf: (names) => new OutputValues(names, a, b),
    });
    return { a: x.name, b: y.name, sequences, outputs };
  } finally {
    for (const runner of runners) await runner.close();
  }
}

async function runBoth(
  a: Runner,
  b: Runner,
  vocabSize: number,
  { tolerance, valuesOf }: { readonly tolerance: Tolerance; readonly valuesOf: (names: Names) => OutputValues },
) {
  const shape = commonShape(a, b);
  const outputs = pairOutputs(a, b).map(valuesOf);
  let sequences = 0;
  for (let run = 0; run < RUNS; run++) {
    const length = LENGTHS[run % LENGTHS.length] as number;
    const sizes = shape.map((dim, axis) =>
      typeof dim === 'number' ? dim : axis === shape.length - 1 ? length : DYNAMIC_BATCH,
    );
    const feeds = randomSequences({ shape: sizes, seed: SEED + run, vocabSize, dtype: 'i64' });
    const [fromA, fromB] = [await a.run(feedsOf(a, feeds)), await b.run(feedsOf(b, feeds))];
    for (const output of outputs) output.add(fromA, fromB);
    sequences += sizes.slice(0, -1).reduce((count, size) => count * size, 1);
  }
  return { sequences, outputs: outputs.map((output) => output.result(tolerance)) };
}

/**
 * The input shape that both models take: a size where one of them fixes it. Throws MISMATCH where no input fits both.
 */
function commonShape(a: Runner, b: Runner): Dim[] {
  const [from, to] = [a.inputs[0]?.shape ?? [], b.inputs[0]?.shape ?? []];
  if (from.length !== to.length || from.some((dim, i) => isFixed(dim) && isFixed(to[i]) && dim !== to[i])) {
    throw new MbertError('MISMATCH', `--numeric: one takes ${shapeText(from)}, the other ${shapeText(to)}`, {
      hint: 'no input fits both models',
    });
  }
  return from.map((dim, i) => (isFixed(dim) ? dim : isFixed(to[i]) ? to[i] : 'dynamic'));
}

function isFixed(dim: Dim | undefined): dim is number {
  return typeof dim === 'number' && dim > 0;
}

/** Pairs outputs of one name; where no name is common, outputs in order. */
function pairOutputs(a: Runner, b: Runner): Names[] {
  const common = a.outputs.filter((name) => b.outputs.includes(name));
  if (common.length > 0) return common.map((name) => ({ a: name, b: name }));
  if (a.outputs.length === b.outputs.length)
    return a.outputs.map((name, i) => ({ a: name, b: b.outputs[i] as string }));
  const problem = `${listNames(a.outputs)} cannot be compared with ${listNames(b.outputs)}`;
  throw new MbertError('MISMATCH', `--numeric: the outputs ${problem}`);
}

/** Token ids, mask and token types under the names that a model has for them. */
function feedsOf({ inputs }: Runner, feeds: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map(inputs.map(({ name }) => [name, feeds.get(tokenInput(name)) as Tensor]));
}

/** Number of ids that every real vocabulary has. */
const SMALLEST_VOCABULARY = 100;

/** Collects one output of both models over all runs. */
class OutputValues {
  readonly #names: Names;
  readonly #a: Float32Array[] = [];
  readonly #b: Float32Array[] = [];
  readonly #head: Pick<DiffSide, 'task' | 'logitsKind'>;
  /** Values above which a's and b's say yes, where each is decided by itself. */
  readonly #thresholds: readonly [a: number, b: number];
  #choices: ChoicesBy = 'largest';
  #count = 0;
  #equal = 0;

  constructor(names: Names, a: DiffSide, b: DiffSide) {
    this.#names = names;
    // A graph's file does not say what its outputs are for.
    this.#head = { task: a.task ?? b.task, logitsKind: a.logitsKind ?? b.logitsKind };
    this.#thresholds = [thresholdOf(a.reference, names.a), thresholdOf(b.reference, names.b)];
  }

  add(fromA: ReadonlyMap<string, Tensor>, fromB: ReadonlyMap<string, Tensor>): void {
    const [x, y] = [fromA.get(this.#names.a) as Tensor, fromB.get(this.#names.b) as Tensor];
    const [a, b] = [readF32(x), readF32(y)];
    if (a.length !== b.length) {
      throw new MbertError(
        'MISMATCH',
        `--numeric: output ${this.#names.a}: is ${shapeText(x.shape)} on one side and ${shapeText(y.shape)} on the other`,
      );
    }
    this.#a.push(a);
    this.#b.push(b);
    const width = x.shape.at(-1) ?? 1;
    this.#choices = choicesBy(this.#head, x.shape.length);
    if (this.#choices === 'largest' && (x.shape.length < 2 || width < 2)) return;
    const expected = choicesOf(this.#choices, a, width, this.#thresholds[0]);
    const found = choicesOf(this.#choices, b, width, this.#thresholds[1]);
    this.#count += found.length;
    this.#equal += equalChoices(expected, found);
  }

  result(tolerance: Tolerance): OutputResult {
    const [a, b] = [joinF32(this.#a), joinF32(this.#b)];
    let largest = 0;
    for (const value of a) largest = Math.max(largest, Math.abs(value));
    for (const value of b) largest = Math.max(largest, Math.abs(value));
    const error = maxAbsError(a, b);
    const limit = limitOf(tolerance, largest);
    return {
      isWithin: error <= limit,
      difference: {
        kind: 'numeric',
        change: 'output',
        output: this.#names,
        maxAbsError: finite(error),
        limit,
        sqnrDb: finite(sqnr(a, b)),
        agreement: this.#count === 0 ? null : this.#equal / this.#count,
        choices: this.#choices,
      },
    };
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
