import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import type { Tensor } from '../ir/tensor.ts';
import { keepsChannels } from '../ir/token-wise.ts';
import {
  absorbColumns,
  type Gauge,
  type PerChannel,
  perChannel,
  reciprocal,
  scaledRows,
  sum,
  timesPlus,
  timesVector,
  vectorTensor,
} from './affine.ts';
import { type ConstantLinear, constantLinear, contextOf, contextWithoutBias, hasOneUse } from './attention.ts';
import { absorbIntoWriters } from './streams/absorb-norm.ts';

/** A value that stands in the graph as its gauge over another node: real = scale∘base + offset. */
interface Gauged extends Gauge {
  readonly base: Node;
}

/**
 * The smallest |gamma|, as a share of the median of its norm, that is folded. Writers divide by the stream's scale, so
 * a norm with a smaller gamma keeps an explicit mul instead.
 */
const MIN_GAMMA_TO_MEDIAN = 2 ** -10;

/**
 * The largest magnitude of a stream's scale, and the reciprocal of the smallest. The product of many gammas may drift;
 * beyond this the f32 values of the scaled stream would come near their limits.
 */
const MAX_SCALE = 2 ** 40;

class Sweep {
  readonly graph: Graph;
  readonly context: PassContext;
  readonly gauges = new Map<Node, Gauged>();
  readonly declined: string[] = [];
  /** Tensors that this sweep created for one linear alone, and so may change again. */
  readonly owned = new WeakSet<Tensor>();
  folded = 0;

  constructor(graph: Graph, context: PassContext) {
    this.graph = graph;
    this.context = context;
  }

  run(): PassReport {
    for (const node of this.graph.nodes()) this.#visit(node);
    for (const { node } of this.graph.outputs) this.#materialize(node);
    return { rewrites: this.folded, declined: this.declined };
  }

  /** Handles one node. Inputs come before users, so its inputs have their gauges already. */
  #visit(node: Node): void {
    if (node.op === 'noNorm') this.#foldNorm(node);
    else if (node.op === 'add') this.#joinResidual(node);
    else if (node.op === 'linear') this.#absorbInReader(node);
    else if (!this.#passThrough(node)) for (const input of node.inputs) this.#materialize(input);
    if (node.op === 'reshape') this.#moveValueBias(node);
  }

  /** Folds a norm: y = g∘(D x̂ + e) + c has the scale gD and the offset ge + c over x̂, so the node vanishes. */
  #foldNorm(node: Call<'noNorm'>): void {
    const [x, gamma, beta] = node.inputs as readonly [Node, Node, Node];
    if (gamma.op !== 'constant' || beta.op !== 'constant' || this.context.keeps(node)) {
      this.#materialize(x);
      return;
    }
    const g = perChannel(gamma.tensor);
    const c = perChannel(beta.tensor);
    const gauge = this.gauges.get(x);
    if (!gauge && absorbIntoWriters(this.graph, node, x, g, c)) {
      this.folded++;
      return;
    }
    const { base, scale, offset } = gauge ?? { base: x, scale: null, offset: null };
    const nextScale = timesPlus(scale, g, null);
    const nextOffset = offset ? timesPlus(offset, g, c) : c;
    const small = smallestToMedian(g);
    if (small >= MIN_GAMMA_TO_MEDIAN && isModerate(nextScale)) {
      this.gauges.set(node, { base, scale: nextScale, offset: nextOffset });
      this.folded++;
      return;
    }
    this.declined.push(
      small < MIN_GAMMA_TO_MEDIAN
        ? `${node.name}: smallest |gamma| is ${small.toExponential(1)} of the median, kept as a mul`
        : `${node.name}: the stream's scale has drifted beyond ${MAX_SCALE}, kept as a mul`,
    );
    const factor = this.graph.constant(vectorTensor(nextScale), `${node.name}.scale`);
    this.gauges.set(node, { base: this.graph.add('mul', [base, factor]), scale: null, offset: nextOffset });
  }

  /**
   * Joins a residual add to its stream: D x̂ + e + (W h + b) = D (x̂ + (W/D) h) + (e + b), so the writer absorbs 1/D
   * and its bias joins the offset.
   */
  #joinResidual(node: Call<'add'>): void {
    const [a, b] = node.inputs as readonly [Node, Node];
    const [stream, writer] = this.#writerOf(node, b) && !this.gauges.has(b) ? [a, b] : [b, a];
    const gauge = this.gauges.get(stream) ?? this.#startOfStream(node, stream);
    const linear = gauge && this.#writerOf(node, writer);
    if (!gauge || !linear || this.gauges.has(writer)) {
      for (const input of [a, b]) this.#materialize(input);
      return;
    }
    const rows = gauge.scale && reciprocal(gauge.scale);
    const { graph } = this;
    const { tensor } = linear.weight;
    const weight = rows
      ? graph.constant(scaledRows(tensor, rows, this.owned.has(tensor)), linear.weight.name)
      : linear.weight;
    const written = graph.add('linear', [linear.x, weight], linear.node.attrs, linear.node.name);
    const base = graph.add('add', [gauge.base, written], {}, node.name);
    const offset = sum(gauge.offset, linear.bias ? perChannel(linear.bias.tensor) : null);
    this.gauges.set(node, { base, scale: gauge.scale, offset });
  }

  /** Starts a gauge at a stream that has none: the writer's bias is its offset where a foldable norm follows. */
  #startOfStream(node: Call<'add'>, stream: Node): Gauged | null {
    const [user] = node.users;
    if (user?.op !== 'noNorm' || user.inputs[1]?.op !== 'constant' || this.context.keeps(user)) return null;
    if (stream.type.shape.at(-1) !== node.type.shape.at(-1) || !hasOneUse(this.graph, node)) return null;
    const linear = this.#writerOf(node, stream);
    if (!linear?.bias) return { base: stream, scale: null, offset: null };
    const base = this.graph.add('linear', [linear.x, linear.weight], linear.node.attrs, linear.node.name);
    return { base, scale: null, offset: perChannel(linear.bias.tensor) };
  }

  /** The linear that computes an operand, if only this sum reads it, so that its rows and bias may change. */
  #writerOf(node: Call<'add'>, operand: Node): ConstantLinear | null {
    const linear = constantLinear(operand);
    const fits = linear && linear.node.attrs.activation === 'none' && hasOneUse(this.graph, operand);
    return fits && operand.type.shape.length === node.type.shape.length ? linear : null;
  }

  /** Absorbs the input's gauge: W (D x̂ + e) + b = (W D) x̂ + (b + W e). */
  #absorbInReader(node: Call<'linear'>): void {
    const [x] = node.inputs as readonly [Node];
    const gauge = this.gauges.get(x);
    if (!gauge) return;
    const linear = constantLinear(node);
    if (!linear) {
      this.#materialize(x);
      return;
    }
    const { graph } = this;
    const { weight, bias } = linear;
    const absorbed = gauge.scale
      ? absorbColumns(weight.tensor, gauge.scale, gauge.offset)
      : { weight: weight.tensor, product: gauge.offset && timesVector(weight.tensor, gauge.offset) };
    if (gauge.scale) this.owned.add(absorbed.weight);
    const offset = sum(absorbed.product, bias ? perChannel(bias.tensor) : null);
    graph.replace(node, () => {
      const scaled = gauge.scale ? graph.constant(absorbed.weight, weight.name) : weight;
      const biases = offset ? [graph.constant(vectorTensor(offset), bias?.name ?? `${node.name}.bias`)] : [];
      return graph.add('linear', [gauge.base, scaled, ...biases], node.attrs, node.name);
    });
  }

  /**
   * Passes a gauge on through an op that moves tokens but not channels, which commutes with it; false where the op is
   * another.
   */
  #passThrough(node: Node): boolean {
    const x = node.inputs[0];
    const gauge = x && this.gauges.get(x);
    if (!gauge || (node.op !== 'slice' && node.op !== 'reshape')) return false;
    // An output is restored anyway: slicing the restored value is one mul and add less than restoring the slice.
    if (this.graph.isOutput(x)) return false;
    if (!keepsChannels(node)) return false;
    const base =
      node.op === 'slice'
        ? this.graph.add('slice', [gauge.base], node.attrs, node.name)
        : this.graph.add('reshape', [gauge.base], node.attrs, node.name);
    this.gauges.set(node, { ...gauge, base });
    return true;
  }

  /** Turns the value's bias into the context's offset where only linears read attention's context. */
  #moveValueBias(node: Node): void {
    const context = contextOf(this.graph, node);
    if (context === null || typeof context === 'string' || !context.value.linear.bias) return;
    if (![...node.users].every((user) => constantLinear(user))) return;
    const offset = perChannel(context.value.linear.bias.tensor);
    this.gauges.set(node, { base: contextWithoutBias(this.graph, context), scale: null, offset });
  }

  /** Restores a value for a reader that cannot absorb its gauge: one mul and one add. */
  #materialize(node: Node): void {
    const gauge = this.gauges.get(node);
    if (!gauge || node === gauge.base) return;
    const { graph } = this;
    let value = gauge.base;
    if (gauge.scale) value = graph.add('mul', [value, graph.constant(vectorTensor(gauge.scale), `${node.name}.scale`)]);
    if (gauge.offset)
      value = graph.add('add', [value, graph.constant(vectorTensor(gauge.offset), `${node.name}.offset`)]);
    graph.replace(node, () => value);
    this.gauges.delete(node);
    // Linears that are visited later still absorb the gauge.
    this.gauges.set(value, gauge);
  }
}

/** The smallest magnitude as a share of the median one. */
function smallestToMedian(values: PerChannel): number {
  const sizes = values.map(Math.abs).sort();
  const median = sizes[sizes.length >> 1] as number;
  return median === 0 ? 0 : (sizes[0] as number) / median;
}

function isModerate(scale: PerChannel): boolean {
  return scale.every((value) => Math.abs(value) < MAX_SCALE && Math.abs(value) > 1 / MAX_SCALE);
}

/**
 * Folds every NoNorm y = g∘x + c away. A NoNorm network is linear along its residual streams: where a stream is written
 * as x = D∘x̂ + e, readers absorb D and e, writers absorb 1/D, and D' = g∘D goes on after the residual add. Exact up to
 * f32 rounding. Only where something other than a linear reads a stream is it restored, by one mul and one add.
 */
export const foldNoNorm: Pass = {
  name: 'fold-no-norm',
  summary: 'noNorm(x + linear(h))  ->  the linears around the residual stream absorb gamma and beta',
  keeps: 'values',
  run: (graph, context) => new Sweep(graph, context).run(),
};
