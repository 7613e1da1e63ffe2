/** Shares and correlations of a classifier; see `classificationMetrics`. */
export interface ClassificationMetrics {
  /** The share of right answers, 0 … 1. */
  readonly accuracy: number;
  /** F1 of class 1 for two classes, as in GLUE; for more, the mean F1 of all classes. 0 where nothing is right. */
  readonly f1: number;
  /** Matthews' correlation; for more than two classes Gorodkin's R_K: -1 … 1, 0 where one side has one class only. */
  readonly mcc: number;
}

/** Measures a classifier by class numbers below `classes`; a prediction of -1 (no answer) counts as wrong. */
export function classificationMetrics(
  labels: readonly number[],
  predictions: readonly number[],
  classes: number,
): ClassificationMetrics {
  const counts = { label: zeros(classes), prediction: zeros(classes), right: zeros(classes) };
  for (const [i, label] of labels.entries()) {
    const prediction = predictions[i] as number;
    increment(counts.label, label);
    if (prediction >= 0) increment(counts.prediction, prediction);
    if (prediction === label) increment(counts.right, label);
  }
  const right = counts.right.reduce((sum, count) => sum + count, 0);
  const f1 = counts.right.map((count, i) => {
    const all = (counts.label[i] as number) + (counts.prediction[i] as number);
    return all === 0 ? 0 : (2 * count) / all;
  });
  return {
    accuracy: right / labels.length,
    f1: classes === 2 ? (f1[1] as number) : f1.reduce((sum, value) => sum + value, 0) / classes,
    mcc: matthews(counts.label, counts.prediction, right, labels.length),
  };
}

/** Counts samples by label (row) and prediction (column); predictions of -1 (no answer) are in no column. */
export function confusionMatrix(
  labels: readonly number[],
  predictions: readonly number[],
  classes: number,
): readonly (readonly number[])[] {
  const rows = Array.from({ length: classes }, () => zeros(classes));
  for (const [i, label] of labels.entries()) {
    const prediction = predictions[i] as number;
    if (prediction >= 0) increment(rows[label] as number[], prediction);
  }
  return rows;
}

/**
 * R_K = (c·s - Σ p_k t_k) / √((s² - Σ p_k²)(s² - Σ t_k²)), c of s answers being right: Gorodkin 2004; with two classes
 * it is Matthews 1975.
 */
function matthews(labels: readonly number[], predictions: readonly number[], right: number, all: number): number {
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  const spread = (all * all - dot(predictions, predictions)) * (all * all - dot(labels, labels));
  return spread === 0 ? 0 : (right * all - dot(predictions, labels)) / Math.sqrt(spread);
}

function zeros(length: number): number[] {
  return new Array<number>(length).fill(0);
}

function increment(counts: number[], place: number): void {
  counts[place] = (counts[place] as number) + 1;
}

/** Pearson's correlation of two lists of one length, -1 … 1; NaN where one of them is constant. */
export function pearson(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    const x = value - meanA;
    const y = (b[i] as number) - meanB;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

/** Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs; NaN where a value is NaN. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  if ([a, b].some((values) => values.some(Number.isNaN))) return Number.NaN;
  return pearson(ranks(a), ranks(b));
}

function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => (values[i] as number) - (values[j] as number));
  const result = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to++;
    for (let i = from; i < to; i++) result[order[i] as number] = (from + to - 1) / 2;
    from = to;
  }
  return result;
}

/** The first and the last token of an answer. */
export type Span = readonly [start: number, end: number];

/** SQuAD's exact match and F1, on tokens in place of words: means over all answers, 0 … 1. */
export function spanMetrics(
  labels: readonly Span[],
  predictions: readonly Span[],
): { readonly exactMatch: number; readonly spanF1: number } {
  let exact = 0;
  let f1 = 0;
  for (const [i, [start, end]] of labels.entries()) {
    const [from, to] = predictions[i] as Span;
    if (start === from && end === to) exact++;
    const common = Math.min(end, to) - Math.max(start, from) + 1;
    if (common > 0) f1 += (2 * common) / (end - start + 1 + (to - from + 1));
  }
  return { exactMatch: exact / labels.length, spanF1: f1 / labels.length };
}

/** Length of the longest answer that is considered, as in google-research/bert's run_squad.py. */
const MAX_ANSWER_TOKENS = 30;

/**
 * The span with the largest start + end logit among tokens [from, to) and, with `allowsNone`, [CLS] alone, which stands
 * for no answer.
 */
export function bestSpan(
  start: ArrayLike<number>,
  end: ArrayLike<number>,
  { from, to, allowsNone }: { readonly from: number; readonly to: number; readonly allowsNone: boolean },
): Span {
  let best: Span = [0, 0];
  let score = allowsNone ? (start[0] as number) + (end[0] as number) : Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    for (let j = i; j < Math.min(to, i + MAX_ANSWER_TOKENS); j++) {
      const sum = (start[i] as number) + (end[j] as number);
      if (sum > score) {
        score = sum;
        best = [i, j];
      }
    }
  }
  return best;
}
