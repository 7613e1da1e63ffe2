import { expect, test } from 'vitest';
import type { AgreementOf } from '../../src/pipelines/evaluate/agreement.ts';
import { agreementHeading, agreementTile, choicesHeading } from '../../src/reports/agreement.ts';
import { costText, textFlags } from '../../src/reports/fit.ts';
import { curveCharts } from '../../src/reports/training-curve.ts';

const heldOut = (agreementOf: AgreementOf, agreement: number) => ({
  samples: 96,
  agreement,
  agreementOf,
  sqnrDb: 12.34,
  accuracy: undefined,
  drop: 100 * (1 - agreement),
});

test.each([
  ['choices', 0.875, 'agrees with the original on 87.50 % of 96 held-out texts, 12.3 dB'],
  ['cosine', -0.0873, 'mean cosine with the original on 96 held-out texts: -8.73 %, 12.3 dB'],
  ['correlation', -0.0873, 'correlation of answers with the original on 96 held-out texts: -0.0873, 12.3 dB'],
  [
    'correlation',
    Number.NaN,
    'correlation of answers with the original on 96 held-out texts: cannot be told: the answers do not vary, 12.3 dB',
  ],
] as const)('the cost of a change is named for what it is: %s %d', (of, agreement, text) => {
  expect(costText(heldOut(of, agreement))).toBe(text);
});

test('where nothing is held out, texts are asked for by what was given', () => {
  const nothing = 'not measured: there are no held-out texts; give ';
  expect(costText(undefined)).toBe(`${nothing}--calibrate FILE or --data FILE`);
  const calibration = { source: 'texts.txt', sha256: '', count: 20, seed: null };
  expect(costText(undefined, textFlags(calibration))).toBe(
    `${nothing}--data FILE, or --samples below the 20 of texts.txt that were fitted to`,
  );
});

test('headings, tiles and charts name it, and no number is a dash with its reason', () => {
  expect((['choices', 'cosine', 'correlation'] as const).map((of) => agreementHeading([heldOut(of, 1)]))).toEqual([
    'agreement',
    'mean cosine',
    'correlation of answers',
  ]);
  expect(agreementTile('name', heldOut('correlation', Number.NaN), '96 texts')).toEqual({
    label: 'name',
    value: '–',
    note: '96 texts; cannot be told: the answers do not vary',
  });
  const curve = [0, 10].map((step) => ({ step, sqnrDb: 1, agreement: 0.5, agreementOf: 'cosine' as const }));
  expect(curveCharts(curve, 96).at(-1)?.markup).toContain('Mean cosine');
});

test('a column of equal choices is named for what they are', () => {
  const [largest, decisions] = [{ choices: 'largest' }, { choices: 'decisions' }] as const;
  expect([[], [largest], [decisions], [decisions, largest]].map(choicesHeading)).toEqual([
    'argmax',
    'argmax',
    'decisions',
    'equal choices',
  ]);
});
