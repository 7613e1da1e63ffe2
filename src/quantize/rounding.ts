import type { Call, Graph, Node } from '../graph.ts';
import { aroundAxis, axisOf } from '../shape.ts';
import { readF32, type Tensor } from '../tensor.ts';
import type { WeightRounding } from './rebuild.ts';
import { hasWeight, isTable } from './settings.ts';
import { LARGEST, packIntegers, type QuantizedWeight, quantizeWeight, type WeightOptions } from './weights.ts';

/** What is added to the diagonal of a Gram matrix, as a share of its mean: directions that no sample took stay stable. */
const DAMPING = 0.01;

/**
 * Rounds rows of `width` weights one element after the other, each time moving the rest of the row so that it makes up for
 * the error: it is Σ_rows (w - ŵ)ᵀ G (w - ŵ) that becomes small, not Σ (w - ŵ)². `gram` [width, width] is Σ x xᵀ over what
 * multiplies the rows. As in GPTQ (Frantar et al., arXiv 2210.17323), with the scales of plain rounding.
 */
export function roundCompensated(
  values: Float32Array,
  scales: Float32Array,
  gram: Float64Array,
  largest: number,
): Int8Array {
  const width = Math.sqrt(gram.length);
  const factor = inverseFactor(gram, width);
  const groupSize = values.length / scales.length;
  const stored = new Int8Array(values.length);
  const rest = new Float64Array(width);
  for (let from = 0; from < values.length; from += width) {
    for (let i = 0; i < width; i++) rest[i] = values[from + i] as number;
    for (let i = 0; i < width; i++) {
      const scale = scales[Math.floor((from + i) / groupSize)] as number;
      const real = rest[i] as number;
      const rounded = Math.min(largest, Math.max(-largest, Math.round(real / scale)));
      stored[from + i] = rounded;
      const error = (real - rounded * scale) / (factor[i * width + i] as number);
      const row = i * width;
      for (let j = i + 1; j < width; j++) rest[j] = (rest[j] as number) - error * (factor[row + j] as number);
    }
  }
  return stored;
}

/** Upper triangular U with (G + damping)⁻¹ = Uᵀ U. */
function inverseFactor(gram: Float64Array, width: number): Float64Array {
  const damped = gram.slice();
  let trace = 0;
  for (let i = 0; i < width; i++) trace += gram[i * width + i] as number;
  const added = (DAMPING * trace) / width || 1;
  for (let i = 0; i < width; i++) damped[i * width + i] = (damped[i * width + i] as number) + added;
  const inverse = lowerInverse(choleskyOf(damped, width), width);
  const product = new Float64Array(width * width);
  // L⁻ᵀ L⁻¹; row k of L⁻¹ ends at column k.
  for (let k = 0; k < width; k++) {
    for (let i = 0; i <= k; i++) {
      const factor = inverse[k * width + i] as number;
      for (let j = 0; j <= i; j++) {
        product[i * width + j] = (product[i * width + j] as number) + factor * (inverse[k * width + j] as number);
      }
    }
  }
  const lower = choleskyOf(product, width);
  const upper = new Float64Array(width * width);
  for (let i = 0; i < width; i++) for (let j = i; j < width; j++) upper[i * width + j] = lower[j * width + i] as number;
  return upper;
}

/** Lower triangular L with L Lᵀ = matrix, of which only the lower half is read. */
function choleskyOf(matrix: Float64Array, width: number): Float64Array {
  const lower = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * width + j] as number;
      for (let k = 0; k < j; k++) sum -= (lower[i * width + k] as number) * (lower[j * width + k] as number);
      lower[i * width + j] = i === j ? Math.sqrt(sum) : sum / (lower[j * width + j] as number);
    }
  }
  return lower;
}

function lowerInverse(lower: Float64Array, width: number): Float64Array {
  const inverse = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    const pivot = lower[i * width + i] as number;
    inverse[i * width + i] = 1 / pivot;
    for (let k = 0; k < i; k++) {
      const factor = (lower[i * width + k] as number) / pivot;
      for (let j = 0; j <= k; j++) {
        inverse[i * width + j] = (inverse[i * width + j] as number) - factor * (inverse[k * width + j] as number);
      }
    }
  }
  return inverse;
}

/** A weight [rows, width] rounded with compensation, on the scales of plain rounding. */
export function quantizeCompensated(weight: Tensor, options: WeightOptions, gram: Float64Array): QuantizedWeight {
  const plain = quantizeWeight(weight, options);
  const scales = plain.quant.per === 'tensor' ? Float32Array.of(plain.quant.scale) : plain.quant.scales;
  const stored = roundCompensated(readF32(weight), scales, gram, LARGEST[options.dtype]);
  return { tensor: packIntegers(options.dtype, weight.shape, stored), quant: plain.quant };
}

/**
 * Σ Wᵀ W over the linears that read a table's rows with nothing but moves between, as MobileBERT's trigram front: the error
 * of a row then is what the front makes of it. Undefined where something else reads the rows.
 */
export function tableGram(graph: Graph, table: Call<'gather'>): Float64Array | undefined {
  const width = table.type.shape.at(-1) as number;
  const gram = new Float64Array(width * width);
  const live = new Set(graph.nodes());
  // Each part of a concatenation is where its columns begin; what is moved along tokens keeps its columns.
  const stack: { readonly node: Node; readonly column: number }[] = [{ node: table, column: 0 }];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (graph.outputs.some(({ node }) => node === at?.node)) return undefined;
    for (const user of at.node.users) {
      if (!live.has(user)) continue;
      if (hasWeight(user) && user.inputs[0] === at.node) addProducts(gram, width, user, at.column);
      else if (user.op === 'shift' || (user.op === 'reshape' && keepsChannels(user))) {
        stack.push({ node: user, column: at.column });
      } else if (
        user.op === 'concat' &&
        axisOf(user.attrs.axis, user.type.shape.length) === user.type.shape.length - 1
      ) {
        for (const column of columnsOf(user, at.node)) stack.push({ node: user, column: at.column + column });
      } else return undefined;
    }
  }
  return gram;
}

function keepsChannels(node: Call<'reshape'>): boolean {
  return node.type.shape.at(-1) === node.inputs[0]?.type.shape.at(-1);
}

/** Where the columns of a part begin in a concatenation, once for each time that it is there. */
function columnsOf(concat: Call<'concat'>, part: Node): number[] {
  const columns: number[] = [];
  let column = 0;
  for (const input of concat.inputs) {
    if (input === part) columns.push(column);
    column += input.type.shape.at(-1) as number;
  }
  return columns;
}

/** Adds wᵀ w of the columns [from, from + width) of every row, for a convolution of every tap. */
function addProducts(gram: Float64Array, width: number, node: Call<'linear' | 'conv1d'>, from: number): void {
  const weight = node.inputs[1] as Node & { readonly op: 'constant' };
  const { outer, length } = aroundAxis(weight.tensor.shape, weight.tensor.shape.length - 1);
  const values = readF32(weight.tensor);
  for (let row = 0; row < outer; row++) {
    const start = row * length + from;
    for (let i = 0; i < width; i++) {
      const factor = values[start + i] as number;
      for (let j = 0; j < width; j++) {
        gram[i * width + j] = (gram[i * width + j] as number) + factor * (values[start + j] as number);
      }
    }
  }
}

/** Rounds tables that only linears read so that these linears' results are right, and every other weight to the nearest. */
export function roundForReaders(graph: Graph): WeightRounding {
  return (node, weight, options) => {
    const gram = isTable(node) ? tableGram(graph, node) : undefined;
    return gram ? quantizeCompensated(weight.tensor, options, gram) : quantizeWeight(weight.tensor, options);
  };
}
