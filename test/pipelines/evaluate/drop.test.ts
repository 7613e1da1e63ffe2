import { expect, test } from 'vitest';
import { dropFailure, isAllowed } from '../../../src/pipelines/evaluate/drop.ts';

test.each([
  ['what may be lost', 5, 5, true],
  ['less', 4.99, 5, true],
  ['more by one of 40,000 samples', 5.0025, 5, false],
  ['what rounding makes more of 2 in 40', 100 * (1 - 38 / 40), 5, true],
  ['nothing where nothing may be', 0, 0, true],
  ['less than nothing', -3, 0, true],
  ['what is no number', Number.NaN, 100, false],
])('%s: %d of %d points', (_, drop, maxDrop, expected) => {
  expect(isAllowed(drop, maxDrop)).toBe(expected);
});

test.each([
  ['choices', 0.9, 10, 20, undefined],
  ['choices', 0.9, 10, 2, '--max-drop 2: agreement fell by 10.00 points'],
  ['cosine', 0.9, 10, 2, '--max-drop 2: mean cosine fell by 10.00 points'],
  ['correlation', -0.5, 150, 2, '--max-drop 2: correlation of answers fell by 150.00 points'],
  [
    'correlation',
    Number.NaN,
    Number.NaN,
    100,
    '--max-drop 100: correlation of answers cannot be told: the answers do not vary',
  ],
] as const)('a loss of %s from 1 to %d, %d points of %d', (agreementOf, agreement, drop, maxDrop, expected) => {
  expect(dropFailure({ agreement, agreementOf, sqnrDb: 20, accuracy: undefined, drop }, maxDrop)).toBe(expected);
});

test('a loss is of accuracy where there are labels, and of the ranks of similarities for sentence embeddings', () => {
  const loss = { agreement: 0.9, agreementOf: 'cosine', sqnrDb: 20, accuracy: undefined, drop: 10 } as const;
  const embeddings = { meanCosine: 0.9, worstCosine: 0.8, neighbours: 1, similarities: 0.9 };
  expect(dropFailure({ ...loss, accuracy: { float: 1, quantized: 0.9 } }, 1)).toMatch(/: accuracy fell/);
  expect(dropFailure({ ...loss, embeddings }, 1)).toMatch(/: similarity ranks fell/);
});
