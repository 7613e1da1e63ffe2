import type { Constant, Graph } from '../src/ir/graph.ts';
import { rounded } from '../src/ir/quantized.ts';
import { aroundAxis } from '../src/ir/shape.ts';
import { type DType, type Quant, readF32, type Tensor, tensorOf } from '../src/ir/tensor.ts';

export type WeightStorage = 'i8 per channel' | 'i8 per tensor' | 'i4 per channel' | 'i4 per tensor' | 'i4 per block';

/** What block scales are rounded to, as files hold them. */
const toF16 = (value: number): number => {
  const unit = 2 ** (Math.floor(Math.log2(value)) - 10);
  return Math.round(value / unit) * unit;
};

/** A weight [rows, …] stored symmetrically, by the largest magnitude that each scale must reach. */
export function storeWeight(tensor: Tensor, kind: WeightStorage): { readonly tensor: Tensor; readonly quant: Quant } {
  const dtype = kind.slice(0, 2) as 'i8' | 'i4';
  const values = readF32(tensor);
  const { length } = aroundAxis(tensor.shape, 0);
  const groups = kind.endsWith('tensor') ? 1 : kind.endsWith('channel') ? length : values.length / 32;
  const scales = new Float32Array(groups);
  const most = dtype === 'i8' ? 127 : 7;
  for (let group = 0; group < groups; group++) {
    const size = values.length / groups;
    const part = values.subarray(group * size, (group + 1) * size);
    const scale = part.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / most || 1;
    scales[group] = kind.endsWith('block') ? toF16(scale) : scale;
  }
  const quant: Quant = kind.endsWith('tensor')
    ? { per: 'tensor', scale: scales[0] as number, zeroPoint: 0 }
    : kind.endsWith('channel')
      ? { per: 'channel', axis: 0, scales }
      : { per: 'block', axis: 1, size: 32, scales };
  return { tensor: storeIntegers(tensor, dtype, quant), quant };
}

/** The integers of real values: what `rounded` gives, divided by the scales again. */
export function storeIntegers(real: Tensor, dtype: DType, quant: Quant): Tensor {
  const values = readF32(rounded(real, dtype, quant));
  const groups = quant.per === 'tensor' ? 1 : quant.scales.length;
  const stored = new Int8Array(values.length);
  for (let i = 0; i < stored.length; i++) {
    const scale = quant.per === 'tensor' ? quant.scale : quant.scales[Math.floor(i / (values.length / groups))];
    const zeroPoint = quant.per === 'tensor' ? quant.zeroPoint : 0;
    const least = dtype === 'i8' && quant.per !== 'tensor' ? -127 : -128;
    stored[i] = Math.max(least, Math.round((values[i] as number) / (scale as number)) + zeroPoint);
  }
  if (dtype !== 'i4') return tensorOf('i8', real.shape, stored);
  const packed = new Uint8Array(Math.ceil(stored.length / 2));
  stored.forEach((value, i) => {
    packed[i >> 1] = (packed[i >> 1] as number) | ((value & 15) << (4 * (i & 1)));
  });
  return tensorOf('i4', real.shape, packed);
}

/** LiteRT's own kernel does not know blocks in weights of fewer rows. */
const LEAST_BLOCK_ROWS = 4;

/** Stores the weights of linears as integers, and those of convolutions and the tables of look-ups as `others`. */
export function quantizeWeights(graph: Graph, kind: WeightStorage, others: WeightStorage = kind): void {
  for (const node of graph.nodes()) {
    const at = node.op === 'gather' ? 0 : node.op === 'linear' || node.op === 'conv1d' ? 1 : -1;
    const weight = node.inputs[at];
    if (weight?.op !== 'constant' || weight.type.quant !== undefined) continue;
    const fits = !kind.endsWith('block') || (weight.tensor.shape[0] as number) >= LEAST_BLOCK_ROWS;
    replaceConstant(graph, weight, storeWeight(weight.tensor, node.op === 'linear' && fits ? kind : others));
  }
}

function replaceConstant(graph: Graph, old: Constant, made: { tensor: Tensor; quant: Quant }): void {
  graph.replace(old, () => graph.constant(made.tensor, old.name, made.quant));
}
