import type { Call, Graph, Node } from '../../ir/graph.ts';
import { quietName } from '../../ir/smoothed.ts';
import { absorbColumns, type PerChannel, reciprocal, vectorTensor } from '../affine.ts';
import type { ConstantLinear } from '../attention.ts';
import { quietNeurons, sideNetwork, sideProduct } from './side-network.ts';
import type { Smoothing } from './smoothing-scale.ts';
import type { SmoothingSite } from './smoothing-sites.ts';
import { dividedByPeak, linearByPeak } from './token-peaks.ts';

/**
 * Puts a product with 1/s between a value and the linears that read it, and s into their weights; whatever else reads
 * the value is left alone. Channels aside get a factor of 0, and their part of the result is added in floats. Where each
 * token is to be divided by its peak, that takes the product's place.
 */
export function applySmoothing(graph: Graph, { value, readers, neurons }: SmoothingSite, smoothing: Smoothing): void {
  const { scale, aside, byPeak } = smoothing;
  const factors = withZeros(reciprocal(scale), aside);
  const columns = withZeros(scale, aside);
  const [down] = readers;
  const network = neurons && down && aside.length > 0 ? { up: neurons, gelu: value as Call<'gelu'>, down } : undefined;
  const side = network && sideNetwork(graph, network, aside);
  const { name } = value;
  const read = network ? quietNeurons(graph, network, aside) : value;
  // Neurons aside are quiet already.
  const isScaled = (network ? scale : factors).some((factor) => factor !== 1);
  const smooth = isScaled
    ? graph.add('mul', [read, graph.constant(vectorTensor(factors), `${name}.scales`)], {}, `${name}.smooth`)
    : read;
  const tokens = byPeak ? dividedByPeak(graph, smooth) : undefined;
  for (const reader of readers) {
    const beside = side ?? (aside.length > 0 ? sideProduct(graph, reader, aside) : undefined);
    graph.replace(reader.node, () => {
      const weight = scaledWeight(graph, reader, columns, beside !== undefined);
      return tokens
        ? linearByPeak(graph, reader, tokens, weight, beside)
        : scaledReader(graph, reader, smooth, weight, beside);
    });
  }
}

function scaledWeight(graph: Graph, { node, weight }: ConstantLinear, columns: PerChannel, isPart: boolean): Node {
  const scaled = absorbColumns(weight.tensor, columns, null).weight;
  return graph.constant(scaled, isPart ? `${quietName(node.name)}.weight` : weight.name);
}

function scaledReader(
  graph: Graph,
  { node, bias }: ConstantLinear,
  x: Node,
  weight: Node,
  beside: Node | undefined,
): Node {
  const { name, attrs } = node;
  const inputs = [x, weight];
  if (bias) inputs.push(beside ? graph.constant(bias.tensor, `${quietName(name)}.bias`) : bias);
  const linear = graph.add('linear', inputs, attrs, name);
  return beside ? graph.add('add', [linear, beside], {}, `${name}.sum`) : linear;
}

function withZeros(values: PerChannel, channels: readonly number[]): PerChannel {
  const changed = values.slice();
  for (const c of channels) changed[c] = 0;
  return changed;
}
