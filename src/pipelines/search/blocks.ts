import type { Graph } from '../../ir/graph.ts';
import type { PlannedGroup, PrunePlan } from '../../passes/prune/prune-plan.ts';
import { encoderLayers } from '../evaluate/encoder-layers.ts';
import { layerInputs, nodesBetween } from '../evaluate/layer-inputs.ts';

/** A layer of the teacher that may become something smaller. Its nodes are named, as graphs are copied. */
export interface Block {
  /** The layer's place, counted from 0. */
  readonly layer: number;
  /** Name of the value that it reads; undefined where it reads more than one, so that it cannot be left out. */
  readonly input: string | undefined;
  /** Name of the value that it gives. */
  readonly output: string;
  /** Names of all nodes that compute it from its input. */
  readonly nodes: ReadonlySet<string>;
  /** Its heads and its networks of neurons, in computing order. */
  readonly groups: readonly PlannedGroup[];
}

/**
 * Finds the layers of a graph with the groups that a plan has for them. Throws UNSUPPORTED for a graph without layers.
 */
export function findBlocks(graph: Graph, plan: PrunePlan): Block[] {
  const layers = encoderLayers(graph, graph.name);
  const groups = new Map(plan.groups.map((group) => [group.name, group]));
  const places = new Map(graph.nodes().map((node, place) => [node, place]));
  const inputs = layerInputs(graph, layers);
  return layers.map(({ output }, layer) => {
    const input = inputs[layer];
    const inside = input && nodesBetween(input, output);
    const nodes = [...(inside ?? [])].sort((a, b) => (places.get(a) as number) - (places.get(b) as number));
    return {
      layer,
      input: input?.name,
      output: output.name,
      nodes: new Set(nodes.map(({ name }) => name)),
      groups: nodes.flatMap(({ name }) => groups.get(name) ?? []),
    };
  });
}
