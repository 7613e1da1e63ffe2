import { listNames, MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import { type EmbeddingAgreement, EmbeddingComparison } from '../../metrics/embeddings.ts';
import { ErrorSums } from '../../metrics/error-sums.ts';
import {
  bestSpan,
  classificationMetrics,
  confusionMatrix,
  pearson,
  type Span,
  spanMetrics,
  spearman,
} from '../../metrics/task-metrics.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import type { AgreementOf } from '../evaluate/agreement.ts';
import { type Answer, answerOf, Comparison } from '../evaluate/answers.ts';
import {
  type ChoicesBy,
  choicesBy,
  choicesOf,
  equalChoices,
  givesProbabilities,
  thresholdOf,
} from '../evaluate/decisions.ts';
import { inTurn, type Loader, whileLoaded } from '../evaluate/in-turn.ts';
import { inOneMeasure, PROBABILITY } from '../evaluate/probabilities.ts';
import { type CommonShape, type Running, runRow } from '../evaluate/running.ts';
import { plainDecibels } from './decibels.ts';
import { FlipList } from './flips.ts';
import type { Inputs, Labels } from './inputs.ts';
import type { Flips, MetricName, OutputAgreement, TaskMetrics } from './types.ts';

/** Options of `compareOutputs`. */
export interface OutputsOptions {
  readonly task: Task | undefined;
  /** The kind of a head's logits, where they are not those of classes of which one is right. */
  readonly logitsKind?: LogitsKind | undefined;
  /** Graphs of both models: where one gives probabilities and the other one logits, labels are decided by each as it is. */
  readonly graphs?: { readonly model: Graph; readonly reference: Graph | undefined } | undefined;
  readonly shape: CommonShape;
  readonly inputs: Inputs;
  /** Hears both answers to each sample. */
  readonly heard?: ((sample: number, reference: Answer, actual: Answer) => void) | undefined;
  readonly progress: (done: number, total: number) => void;
}

/** Outputs of the model beside the reference, and task metrics. */
export interface OutputsResult {
  readonly outputs: readonly OutputAgreement[];
  readonly agreement: number | null;
  readonly agreementOf: AgreementOf | null;
  /** Undefined for models that give no sentence embeddings, and without a reference. */
  readonly embeddings: EmbeddingAgreement | undefined;
  readonly flips: Flips | null;
  readonly metrics: TaskMetrics | null;
  /** Names of the model's outputs that have NaN or infinity in them. */
  readonly broken: readonly string[];
  /** Wall time of the runs of each model. */
  readonly runMs: { readonly model: number; readonly reference: number };
}

/** Runs the model on all rows, after the reference where there is one. */
export async function compareOutputs(
  model: Loader,
  reference: Loader | undefined,
  options: OutputsOptions,
): Promise<OutputsResult> {
  const { inputs, shape, task, logitsKind, graphs, progress } = options;
  const { rows } = inputs;
  const sums: OutputSums[] = [];
  const comparison = new Comparison();
  const embeddings = reference && task === 'sentence-embedding' ? new EmbeddingComparison() : undefined;
  const predictions = { model: [] as Prediction[], reference: [] as Prediction[] };
  const flips = new FlipList(options, inputs);
  const broken = new Set<string>();
  const answerTo = (row: TokenRow, outputs: Outputs, graph: Graph | undefined, first: string | undefined) => {
    const threshold = graph && thresholdOf(graph, first);
    const areProbabilities = graph && givesProbabilities(graph, first);
    return answerOf({ task, logitsKind, mask: inputs.mask, threshold, areProbabilities }, outputs, row);
  };
  const useModel = (row: TokenRow, outputs: Outputs, renamed: Outputs) => {
    for (const [name, tensor] of outputs) if (!readF32(tensor).every(Number.isFinite)) broken.add(name);
    const answer = answerTo(row, renamed, graphs?.model, sums[0]?.pair.modelName);
    predictions.model.push(predict(answer, row, renamed, inputs.labels));
    return answer;
  };
  const useBoth = (place: number, ofReference: Outputs, ofModel: Outputs) => {
    const row = rows[place] as TokenRow;
    const [expected, actual] = inOneMeasure(ofReference, ofModel, logitsKind);
    if (place === 0)
      for (const pair of pairOutputs([...expected.keys()], [...actual.keys()]))
        sums.push(new OutputSums(pair, options));
    const pairs = sums.map(({ pair }) => pair);
    const answer = useModel(
      row,
      actual,
      new Map(pairs.map(({ name, modelName }) => [name, actual.get(modelName) as Tensor])),
    );
    const expectedAnswer = answerTo(
      row,
      new Map(pairs.map(({ name }) => [name, expected.get(name) as Tensor])),
      graphs?.reference,
      pairs[0]?.name,
    );
    comparison.add(expectedAnswer, answer);
    flips.add(place, expectedAnswer, answer);
    options.heard?.(place, expectedAnswer, answer);
    embeddings?.add(expectedAnswer.values, answer.values);
    predictions.reference.push(predict(expectedAnswer, row, expected, inputs.labels));
    for (const sum of sums) sum.add(expected, actual, row.inputIds.length);
  };
  const runMs = { model: 0, reference: 0 };
  const timed = (name: keyof typeof runMs) => async (side: Running, place: number) => {
    const start = performance.now();
    const outputs = await runRow(side, rows, place, shape, inputs.pad);
    runMs[name] += performance.now() - start;
    return outputs;
  };
  const run = timed('model');
  if (reference) {
    const turns = { rows: rows.length, progress, runFirst: timed('reference'), run, use: useBoth };
    await inTurn(reference, model, turns);
  } else
    await whileLoaded(model, async (side) => {
      for (const [place, row] of rows.entries()) {
        const outputs = await run(side, place);
        useModel(row, outputs, outputs);
        progress(place + 1, rows.length);
      }
    });
  const outputs = sums.map((sum) => sum.result());
  return {
    outputs,
    agreement: reference ? comparison.agreement : null,
    agreementOf: reference ? comparison.agreementOf : null,
    embeddings: embeddings?.result(),
    flips: reference ? flips.result() : null,
    metrics: inputs.labels
      ? metricsOf(inputs, inputs.labels, predictions.model, reference && predictions.reference)
      : null,
    broken: [...broken],
    runMs,
  };
}

type Outputs = ReadonlyMap<string, Tensor>;

interface OutputPair {
  readonly name: string;
  readonly modelName: string;
}

/** Pairs outputs of one name; where no name is common, outputs in order. Throws MISMATCH where their counts differ. */
export function pairOutputs(from: readonly string[], to: readonly string[]): OutputPair[] {
  const common = from.filter((name) => to.includes(name));
  if (common.length > 0) return common.map((name) => ({ name, modelName: name }));
  if (from.length === to.length) return from.map((name, i) => ({ name, modelName: to[i] as string }));
  throw new MbertError('MISMATCH', `outputs ${listNames(to)} cannot be compared with ${listNames(from)}`, {
    hint: 'they have different heads; --task chooses that of a checkpoint',
  });
}

/** Sums up the errors of one output over all rows. */
class OutputSums {
  readonly pair: OutputPair;
  readonly #isSpan: boolean;
  /** Whether there is one number for each token, each an answer of its own. */
  readonly #isTokenScore: boolean;
  readonly #head: Pick<OutputsOptions, 'task' | 'logitsKind'>;
  /** Values above which the reference's and the model's say yes, where each is decided by itself. */
  readonly #thresholds: readonly [reference: number, model: number];
  #choices: ChoicesBy = 'largest';
  readonly #errors = new ErrorSums();
  #rows = 0;
  #equal = 0;

  constructor(pair: OutputPair, { task, logitsKind, graphs }: Pick<OutputsOptions, 'task' | 'logitsKind' | 'graphs'>) {
    this.pair = pair;
    this.#head = { task, logitsKind };
    this.#thresholds = [
      graphs?.reference ? thresholdOf(graphs.reference, pair.name) : 0,
      graphs ? thresholdOf(graphs.model, pair.modelName) : 0,
    ];
    this.#isSpan = task === 'qa';
    this.#isTokenScore = task === 'replaced-tokens';
  }

  add(reference: ReadonlyMap<string, Tensor>, actual: ReadonlyMap<string, Tensor>, valid: number): void {
    const { name, modelName } = this.pair;
    const expectedOutput = reference.get(name) as Tensor;
    const actualOutput = actual.get(modelName) as Tensor;
    const [a, b] = [this.#first(expectedOutput, valid), this.#first(actualOutput, valid)];
    if (a.length !== b.length) {
      const problem = `has ${b.length} values for a sequence, the reference has ${a.length}`;
      throw new MbertError('MISMATCH', `output ${modelName}: ${problem}`, { hint: 'they have different heads' });
    }
    this.#errors.add(a, b);
    const width = this.#isSpan && expectedOutput.shape.length === 2 ? a.length : (expectedOutput.shape.at(-1) ?? 1);
    this.#choices = choicesBy(this.#head, expectedOutput.shape.length);
    if (width === 1 && this.#choices === 'largest') return;
    const [ofExpected, ofActual] = name === PROBABILITY ? [0.5, 0.5] : this.#thresholds;
    const x = choicesOf(this.#choices, a, width, ofExpected);
    const y = choicesOf(this.#choices, b, width, ofActual);
    this.#rows += x.length;
    this.#equal += equalChoices(x, y);
  }

  /**
   * The first sequence of a batch without its padding: [batch, sequence, ...], [batch, values] or spans' [batch,
   * sequence].
   */
  #first(tensor: Tensor, valid: number): Float32Array {
    const values = readF32(tensor);
    const [, second = 1] = tensor.shape;
    const inner = tensor.shape.slice(2).reduce((product, dim) => product * dim, 1);
    const hasTokens = tensor.shape.length > 2 || this.#isSpan || this.#isTokenScore;
    return values.subarray(0, (hasTokens ? Math.min(valid, second) : second) * inner);
  }

  result(): OutputAgreement {
    const { maxAbsError, sqnrDb } = this.#errors;
    return {
      ...this.pair,
      maxAbsError: Number.isNaN(maxAbsError) ? null : maxAbsError,
      sqnrDb: plainDecibels(sqnrDb),
      agreement: this.#rows === 0 ? null : this.#equal / this.#rows,
      choices: this.#choices,
    };
  }
}

/** A model's answer as labels are given: a class, a number or a span. */
type Prediction = number | Span;

function predict(
  answer: Answer,
  row: TokenRow,
  outputs: ReadonlyMap<string, Tensor>,
  labels: Labels | undefined,
): Prediction {
  if (labels?.kind === 'numbers') return answer.values[0] as number;
  if (labels?.kind !== 'spans') return answer.choices[0] ?? -1;
  const logits = (name: string) => readF32(outputs.get(name) as Tensor);
  const context = row.tokenTypeIds.indexOf(1);
  return bestSpan(logits('start_logits'), logits('end_logits'), {
    // The last token is [SEP]; a model without token types searches everything.
    from: context < 0 ? 1 : context,
    to: row.inputIds.length - 1,
    allowsNone: labels.values.some(([start, end]) => start === 0 && end === 0),
  });
}

const PRIMARY: { readonly [K in Labels['kind']]: MetricName } = {
  classes: 'accuracy',
  numbers: 'pearson',
  spans: 'spanF1',
};

/** Most classes of a confusion matrix that can be read. */
const MAX_CONFUSED = 50;

function metricsOf(
  { classNames }: Inputs,
  labels: Labels,
  model: readonly Prediction[],
  reference: readonly Prediction[] | undefined,
): TaskMetrics {
  const measure = (predictions: readonly Prediction[]): TaskMetrics['model'] => {
    if (labels.kind === 'spans') return spanMetrics(labels.values, predictions as readonly Span[]);
    const numbers = predictions as readonly number[];
    if (labels.kind === 'classes') return { ...classificationMetrics(labels.values, numbers, labels.classes) };
    return { pearson: pearson(labels.values, numbers), spearman: spearman(labels.values, numbers) };
  };
  return {
    primary: PRIMARY[labels.kind],
    samples: labels.values.length,
    model: measure(model),
    against: reference ? measure(reference) : null,
    note: labels.kind === 'spans' ? 'token spans' : null,
    confusion:
      labels.kind !== 'classes' || labels.classes > MAX_CONFUSED
        ? null
        : {
            classes: Array.from({ length: labels.classes }, (_, i) => classNames?.[i] ?? String(i)),
            model: confusionMatrix(labels.values, model as readonly number[], labels.classes),
            against: reference ? confusionMatrix(labels.values, reference as readonly number[], labels.classes) : null,
          },
  };
}
