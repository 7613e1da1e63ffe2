import { expect, test } from 'vitest';
import { layerMarks } from '../../src/reports/html/layer-marks.ts';
import { picture } from '../../src/reports/html/picture.ts';
import { pictureOf } from './pages.ts';

const marksOf = (...levels: (number | null)[]) => [
  ...layerMarks(levels.map((sqnrDb, i) => ({ name: `encoder.layer.${i}.output`, sqnrDb }))).values(),
];

test('the three layers with the lowest SQNR are marked, and all with less than 20 dB', () => {
  expect(marksOf(40, 39, null, 38.04, 50, 45).map(({ text, tone }) => `${text} ${tone}`)).toEqual([
    '40.0 dB lowest',
    '39.0 dB lowest',
    'equal near',
    '38.0 dB lowest',
    '50.0 dB near',
    '45.0 dB near',
  ]);
  expect(marksOf(20, 19.99, -200, Number.NaN, 30, 31).map(({ tone }) => tone)).toEqual([
    'lowest',
    'far',
    'far',
    'far',
    'near',
    'near',
  ]);
});

test('of three layers none is among the lowest, as all would be', () => {
  expect(marksOf(30, 31, 32).map(({ tone }) => tone)).toEqual(['near', 'near', 'near']);
});

test('marks are on the boxes of their layers, and the legend has those that occur', () => {
  const node = (name: string, inputs: number[]) => ({
    name,
    op: 'relu',
    type: 'f32[1]',
    state: 'float',
    inputs: inputs.map((at) => ({ node: at, state: 'same' as const })),
    details: [],
    plots: [],
    bytes: 0,
  });
  const { markup } = picture([node('x', []), node('h.0.act', [0]), node('h.1.act', [1])], {
    states: { float: { symbol: 'f', meaning: 'float' } },
    layers: layerMarks([
      { name: 'h.0.act', sqnrDb: 12 },
      { name: 'h.1.act', sqnrDb: 33 },
    ]),
  });
  const { groups } = pictureOf(markup);
  expect(groups.map(({ title, mark }) => [title, mark?.text, mark?.tone])).toEqual([
    ['inputs and embeddings', undefined, undefined],
    ['h.0', '12.0 dB', 'far'],
    ['h.1', '33.0 dB', 'near'],
  ]);
  expect(markup).toContain('swatch l-far');
  expect(markup).not.toContain('swatch l-lowest');
});
