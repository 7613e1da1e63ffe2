import type { Call, Graph, Node } from '../../ir/graph.ts';
import { quietName } from '../../ir/smoothed.ts';
import type { Tensor } from '../../ir/tensor.ts';
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
  const { scale, aside, byToken } = smoothing;
  const factors = withZeros(reciprocal(scale), aside);
  const columns = withZeros(scale, aside);
  const [down] = readers;
  const network = neurons && down && aside.length > 0 ? { up: neurons, gelu: value as Call<'gelu'>, down } : undefined;
  const side = network && sideNetwork(graph, network, aside);
  const { name } = value;
  const read = network ? quietNeurons(graph, network, aside) : value;
  // Neurons aside are quiet already.
  const isScaled = byToken ? scale.some((factor) => factor !== 1) : !network || scale.some((factor) => factor !== 1);
  const smooth = isScaled
    ? graph.add('mul', [read, graph.constant(vectorTensor(factors), `${name}.scales`)], {}, `${name}.smooth`)
    : read;
  const tokens = byToken ? dividedByPeak(graph, smooth) : undefined;
  for (const reader of readers) {
    const beside = side ?? (aside.length > 0 ? sideProduct(graph, reader, aside) : undefined);
    const { name: readerName } = reader.node;
    graph.replace(reader.node, () => {
      const linear = tokens
        ? linearByPeak(graph, reader, tokens, scaledWeight(reader, columns))
        : scaledReader(graph, reader, smooth, columns, beside !== undefined);
      return beside ? graph.add('add', [linear, beside], {}, `${readerName}.sum`) : linear;
    });
  }
}

function scaledReader(graph: Graph, reader: ConstantLinear, x: Node, columns: PerChannel, isPart: boolean): Node {
  const { node, weight, bias } = reader;
  const name = quietName(node.name);
  const inputs = [x, graph.constant(scaledWeight(reader, columns), isPart ? `${name}.weight` : weight.name)];
  if (bias) inputs.push(isPart ? graph.constant(bias.tensor, `${name}.bias`) : bias);
  return graph.add('linear', inputs, node.attrs, node.name);
}

function scaledWeight({ weight }: ConstantLinear, columns: PerChannel): Tensor {
  return absorbColumns(weight.tensor, columns, null).weight;
}

function withZeros(values: PerChannel, channels: readonly number[]): PerChannel {
  const changed = values.slice();
  for (const c of channels) changed[c] = 0;
  return changed;
}
