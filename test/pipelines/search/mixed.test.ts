import { describe, expect, test } from 'vitest';
import type { NarrowLayer } from '../../../src/pipelines/search/form-costs.ts';
import { mostSaved, proposeStudents } from '../../../src/pipelines/search/propose.ts';
import type { Score } from '../../../src/pipelines/search/score-candidates.ts';
import { wideRecipe } from '../../../src/pipelines/search/storage.ts';
import { parseRecipe } from '../../../src/quantization/recipe.ts';
import { graphOf } from '../../core.ts';
import { spaceOf } from './space.ts';

const units = (layer: number, noise: number): Score => ({
  layer,
  change: { kind: 'units', group: `layer ${layer}`, kept: 1 },
  noise,
  saved: { weights: 60, vectors: 0, operations: 0 },
});
const drop = (layer: number): Score => ({
  layer,
  change: { kind: 'drop' },
  noise: 1,
  saved: { weights: 100, vectors: 0, operations: 0 },
});
const SCORES = [units(0, 0.05), drop(0), units(1, 0.01), drop(1)];
const NARROW: readonly NarrowLayer[] = [
  { layer: 0, weights: 100, saving: 50, noise: 0.02 },
  { layer: 1, weights: 100, saving: 50, noise: 0.04 },
];
const savingOf = ({ saved }: Score) => saved.weights;

test('a budget is met by bits where they cost less than units, and what is cut saves no bits', () => {
  const [best] = proposeStudents(SCORES, savingOf, { needed: 105, count: 1, narrow: NARROW });
  expect(best?.changes.map(({ layer, change }) => [layer, change.kind])).toEqual([[1, 'units']]);
  expect(best?.narrow).toEqual([0]);
  expect([best?.saving, best?.noise, best?.narrowNoise]).toEqual([110, 0.03, 0.02]);

  const [both] = proposeStudents(SCORES, savingOf, { needed: 125, count: 1, narrow: NARROW });
  // 50 of layer 0, 60 of the units of layer 1, and 4 bits for the 40 % that these leave.
  expect(both?.narrow).toEqual([0, 1]);
  expect(both?.saving).toBeCloseTo(130, 12);
  expect(both?.narrowNoise).toBeCloseTo(0.036, 12);
});

test('a layer that has no candidates, as one to be kept, may have 4 bits', () => {
  const scores = SCORES.filter(({ layer }) => layer === 1);
  const [best] = proposeStudents(scores, savingOf, { needed: 105, count: 1, narrow: NARROW });
  expect([best?.narrow, best?.saving]).toEqual([[0], 110]);
  expect(mostSaved(scores, savingOf, NARROW)).toBe(150);
  const [bits] = proposeStudents([], savingOf, { needed: 80, count: 1, narrow: NARROW });
  expect([bits?.changes, bits?.narrow, bits?.saving]).toEqual([[], [0, 1], 100]);
});

test('without bits, units and layers are all there is', () => {
  const [best] = proposeStudents(SCORES, savingOf, { needed: 105, count: 1 });
  expect([best?.narrow, best?.saving, best?.narrowNoise]).toEqual([[], 120, 0]);
  expect(mostSaved(SCORES, savingOf)).toBe(200);
});

describe('the recipe gives 8 bits to all linears but those of the narrow layers', () => {
  test('of layers by what their names begin with, of others by their names, without those that stay in floats', async () => {
    const { teacher, blocks } = await spaceOf('bert-seqcls');
    const sources = (narrow: readonly number[]) =>
      parseRecipe(wideRecipe(teacher, blocks, narrow), 'recipe').map(({ match }) => match.source);
    const pooler = '^(bert\\.pooler\\.dense)($|\\+)';
    expect(sources([1])).toEqual(['^bert\\.encoder\\.layer\\.0\\.', pooler]);
    expect(sources([0, 1])).toEqual([pooler]);
    const [rule] = parseRecipe(wideRecipe(teacher, blocks, [1]), 'recipe');
    expect(rule?.settings).toMatchObject({ scheme: 'dynamic', granularity: 'channel' });
  });

  test('by all of their names, and by what they are joined into, where others begin so too', async () => {
    const graph = graphOf(`graph g (x: f32[1, 3, 2])
  dense = linear(x, a f32[2, 2] #1)
  dense.1 = linear(dense, b f32[2, 2] #2)
  dense.10 = linear(dense.1, c f32[2, 2] #3)
return y: dense.10`);
    const block = { layer: 0, input: undefined, output: 'dense.1', nodes: new Set(['dense', 'dense.1']), groups: [] };
    const [rule] = parseRecipe(wideRecipe(graph, [block], []), 'recipe');
    const fits = ['dense', 'dense.1', 'dense.1+dense.2', 'dense.10'].map((name) => rule?.match.test(name));
    expect(fits).toEqual([true, true, true, false]);
  });
});
