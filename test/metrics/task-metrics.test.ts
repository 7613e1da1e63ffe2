import { describe, expect, test } from 'vitest';
import { bestSpan, classificationMetrics, pearson, spanMetrics, spearman } from '../../src/metrics/task-metrics.ts';

describe('classificationMetrics', () => {
  // 3 true positives, 1 false negative, 2 false positives, 4 true negatives.
  const labels = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0];
  const predictions = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0];

  test('two classes: F1 of class 1 and the correlation of Matthews', () => {
    const { accuracy, f1, mcc } = classificationMetrics(labels, predictions, 2);
    expect(accuracy).toBeCloseTo(7 / 10, 12);
    expect(f1).toBeCloseTo((2 * 3) / (2 * 3 + 2 + 1), 12);
    // (TP·TN - FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN))
    expect(mcc).toBeCloseTo((3 * 4 - 2 * 1) / Math.sqrt(5 * 4 * 6 * 5), 12);
  });

  test('three classes: the mean F1 and R_K', () => {
    const { accuracy, f1, mcc } = classificationMetrics([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0], 3);
    expect(accuracy).toBeCloseTo(4 / 6, 12);
    // F1: 0: 2·1/(2+2), 1: 2·2/(2+3), 2: 2·1/(2+1).
    expect(f1).toBeCloseTo((1 / 2 + 4 / 5 + 2 / 3) / 3, 12);
    // c = 4, s = 6, Σ p t = 2·2 + 3·2 + 1·2, Σ p² = 14, Σ t² = 12.
    expect(mcc).toBeCloseTo((4 * 6 - 12) / Math.sqrt((36 - 14) * (36 - 12)), 12);
  });

  test('one class only has no correlation, and no answer is wrong', () => {
    expect(classificationMetrics([1, 1], [1, 1], 2)).toEqual({ accuracy: 1, f1: 1, mcc: 0 });
    const { accuracy, f1, mcc } = classificationMetrics([1, 0], [-1, 0], 2);
    expect([accuracy, f1]).toEqual([0.5, 0]);
    // c = 1, s = 2; the one prediction there is says 0, which is 0's only label: (1·2 - 1) / √((4 - 1)(4 - 2)).
    expect(mcc).toBeCloseTo(1 / Math.sqrt(6), 12);
  });
});

describe('correlations', () => {
  test('pearson is covariance over both deviations', () => {
    // Deviations -1, 0, 1 and -1, -1, 2: 3 / √(2·6).
    expect(pearson([1, 2, 3], [0, 0, 3])).toBeCloseTo(3 / Math.sqrt(12), 12);
    expect(pearson([1, 2, 3], [-2, -4, -6])).toBeCloseTo(-1, 12);
    expect(pearson([1, 2, 3], [5, 5, 5])).toBeNaN();
  });

  test('spearman looks at ranks, equal values sharing theirs', () => {
    expect(spearman([1, 2, 3, 4], [1, 10, 100, 1000])).toBeCloseTo(1, 12);
    // Ranks 0, 1, 2, 3 and 0.5, 0.5, 2, 3: 4.5 / √(5·4.5).
    expect(spearman([1, 2, 3, 4], [7, 7, 8, 9])).toBeCloseTo(4.5 / Math.sqrt(5 * 4.5), 12);
  });
});

describe('spans', () => {
  test('exact match and F1 count tokens', () => {
    const labels = [
      [2, 4],
      [5, 5],
      [0, 0],
    ] as const;
    // 2 of 3 and 2 tokens are common; none is; both say that there is no answer.
    const { exactMatch, spanF1 } = spanMetrics(labels, [
      [3, 4],
      [6, 7],
      [0, 0],
    ]);
    expect(exactMatch).toBeCloseTo(1 / 3, 12);
    expect(spanF1).toBeCloseTo(((2 * 2) / (3 + 2) + 0 + 1) / 3, 12);
  });

  test('the best span ends where it begins or later, within the context', () => {
    const start = [9, 0, 1, 5, 0];
    const end = [9, 6, 4, 0, 7];
    expect(bestSpan(start, end, { from: 1, to: 4, allowsNone: false })).toEqual([1, 1]);
    expect(bestSpan(start, end, { from: 1, to: 5, allowsNone: false })).toEqual([3, 4]);
    expect(bestSpan(start, end, { from: 1, to: 5, allowsNone: true })).toEqual([0, 0]);
  });

  test('an answer has at most 30 tokens', () => {
    const zeros = new Array<number>(40).fill(0);
    const start = zeros.with(2, 5);
    expect(bestSpan(start, zeros.with(31, 5), { from: 0, to: 40, allowsNone: false })).toEqual([2, 31]);
    // The 31st token from the start on; either half alone is as good as the other, and the start comes first.
    expect(bestSpan(start, zeros.with(32, 5), { from: 0, to: 40, allowsNone: false })).not.toEqual([2, 32]);
  });

  test('no answer is taken only where it is better than every answer', () => {
    const [start, end] = [
      [3, 1, 3],
      [3, 1, 3],
    ];
    expect(bestSpan(start, end, { from: 1, to: 3, allowsNone: true })).toEqual([0, 0]);
    expect(bestSpan(start.with(2, 4), end, { from: 1, to: 3, allowsNone: true })).toEqual([2, 2]);
    expect(bestSpan(start, end, { from: 1, to: 2, allowsNone: false })).toEqual([1, 1]);
  });
});
