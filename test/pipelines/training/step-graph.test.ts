import { expect, test } from 'vitest';
import { openModel } from '../../../src/opened/open-model.ts';
import { encoderLayers } from '../../../src/pipelines/evaluate/encoder-layers.ts';
import { stepGraph } from '../../../src/pipelines/training/step-graph.ts';
import type { TaughtLayer } from '../../../src/pipelines/training/trained.ts';

/**
 * Shapes of all attentions of a step in which a model is its own teacher: of the teacher's layers, then of the
 * student's. `pairs` are the layers that are compared.
 */
async function attentionShapes(source: string, pairs: readonly (readonly [teacher: number, student: number])[]) {
  const model = await openModel(source);
  try {
    const graph = model.reference();
    const found = encoderLayers(graph, source);
    const layer = (at: number) => {
      const { attention, output } = found[at] as (typeof found)[number];
      return { attention: attention.name, output: output.name };
    };
    const layers: TaughtLayer[] = pairs.map(([teacher, student]) => ({
      teacher: layer(teacher),
      student: layer(student),
      weight: 1,
    }));
    const common = { teacher: graph, student: graph, task: model.task, logitsKind: undefined, layers };
    const step = await stepGraph({
      ...common,
      comparesAnswers: true,
      isTeacherApart: false,
      hasLabels: false,
      trains: () => true,
      trainsTables: false,
    });
    const nodes = step.graph
      .withOutputs(step.parameters.map(({ name, gradient }) => ({ name, node: gradient })))
      .nodes();
    const shapes = nodes.filter(({ op, type }) => op === 'softmax' && type.shape.length === 4);
    return shapes.map(({ type }) => type.shape.slice(2).join());
  } finally {
    model.close();
  }
}

const ALL = 'sequence,sequence';
const FIRST = '1,sequence';

test('the last layers of classifiers are computed and compared for the first token alone', async () => {
  const shapes = await attentionShapes('fixtures/bert-seqcls', [
    [0, 0],
    [1, 1],
  ]);
  expect(shapes.toSorted()).toEqual([FIRST, FIRST, ALL, ALL]);
});

test('a last layer beside one in the middle is compared for all tokens', async () => {
  const shapes = await attentionShapes('fixtures/bert-seqcls', [[0, 1]]);
  expect(new Set(shapes)).toEqual(new Set([ALL]));
});

test('a model whose outputs read all tokens computes them', async () => {
  const shapes = await attentionShapes('fixtures/bert-mlm', [
    [0, 0],
    [1, 1],
  ]);
  expect(new Set(shapes)).toEqual(new Set([ALL]));
});
