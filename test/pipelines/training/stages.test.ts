import { expect, test } from 'vitest';
import { stagesOf } from '../../../src/pipelines/training/stages.ts';
import type { TaughtLayer } from '../../../src/pipelines/training/trained.ts';
import { graphOf } from '../../core.ts';

const STUDENT = graphOf(`graph g (x: f32[batch, sequence, 4])
  a = linear(x, wa f32[4, 4] #1)
  b = linear(a, wb f32[4, 4] #2)
  mixed = add(a, b)
  c = linear(mixed, wc f32[4, 4] #3)
return y: c`);

const layer = (name: string): TaughtLayer => ({
  teacher: { attention: 'p', output: name },
  student: { attention: undefined, output: name },
  weight: 0.5,
});
const LAYERS = [layer('a'), layer('mixed')];

const plan = (steps: number | undefined) => ({ steps, student: STUDENT });

test('layer by layer trains what the layers before do not have, and its projection', () => {
  const stages = stagesOf('progressive', LAYERS, plan(101));
  const names = ['wa', 'wb', 'wc', 'projection.a.weight', 'projection.mixed.weight'];
  expect(stages.map(({ name, steps, trains }) => [name, steps, names.filter(trains)])).toEqual([
    ['layer 0', 25, ['wa', 'projection.a.weight']],
    ['layer 1', 25, ['wb', 'projection.mixed.weight']],
    ['answers', 51, names],
  ]);
  expect(stages.map(({ layers, comparesAnswers }) => [layers.map(({ weight }) => weight), comparesAnswers])).toEqual([
    [[1], false],
    [[1], false],
    [[], true],
  ]);
});

test('without a number of steps layers have a given one, and answers as many as they need', () => {
  const steps = (strategy: 'joint' | 'progressive') => stagesOf(strategy, LAYERS, plan(undefined)).map((s) => s.steps);
  expect(steps('joint')).toEqual([400, undefined]);
  expect(steps('progressive')).toEqual([200, 200, undefined]);
  expect(stagesOf('auxiliary', LAYERS, plan(undefined)).map((s) => s.steps)).toEqual([undefined]);
});

test('stages of layers are refused where there are no layers', () => {
  expect(() => stagesOf('joint', [], plan(100))).toThrow('the two models have no layers that could be compared');
  expect(stagesOf('auxiliary', [], plan(100))).toHaveLength(1);
});
