import { copyGraph } from '../ir/copy-graph.ts';
import type { Graph } from '../ir/graph.ts';
import type { Dim } from '../ir/shape.ts';
import type { ShapeOptions } from '../options/shape.ts';
import type { Target } from '../passes/index.ts';
import type { FittedTexts } from './fitted-texts.ts';
import { withLeastMask } from './least-mask.ts';
import type { OpenedModel } from './opened-model.ts';

/**
 * Makes an opened model of another graph with the same inputs and outputs; labels, vocabulary and origin stay. `fitted`
 * are the texts that the graph's new weights were made with.
 */
export function changedModel(
  model: OpenedModel,
  graph: Graph,
  applied: readonly string[],
  fitted: readonly FittedTexts[] = [],
): OpenedModel {
  return {
    ...model,
    build(target: Target, shapes?: ShapeOptions) {
      const like = model.build(target, shapes);
      const indexType = like.inputs[0]?.type.dtype;
      return copyGraph(graph, {
        bindings: bindingsTo(graph, like),
        indexType: indexType === 'i32' || indexType === 'i64' ? indexType : undefined,
      });
    },
    reference: () => copyGraph(graph),
    asComputed: model.asComputed && (() => withLeastMask(copyGraph(graph))),
    applied,
    fitted: [...(model.fitted ?? []), ...fitted],
    runnable: undefined,
  };
}

/** Values for the symbols of a graph's inputs, taken from the same inputs of `like`. */
export function bindingsTo(graph: Graph, like: Graph): Record<string, Dim> {
  const bindings: Record<string, Dim> = {};
  for (const [i, { type }] of graph.inputs.entries()) {
    for (const [axis, dim] of type.shape.entries()) {
      const wanted = like.inputs[i]?.type.shape[axis];
      if (typeof dim === 'string' && wanted !== undefined) bindings[dim] = wanted;
    }
  }
  return bindings;
}
