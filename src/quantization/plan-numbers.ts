import type { Call, Constant, Node } from '../ir/graph.ts';
import { type Quant, readF32, type Tensor } from '../ir/tensor.ts';
import { correctedBias } from './bias.ts';
import type { Plan, ValueClass } from './plan.ts';
import { hasWeight, isWordTable, storedPlace } from './settings.ts';
import { blockSizeFor, PLAIN_BLOCKS, type QuantizedWeight, quantizeWeight, type WeightOptions } from './weights.ts';

export type TensorQuant = Quant & { readonly per: 'tensor' };

/** The largest int32 bias in units of s_x·s_w: the sum that starts with it needs the rest of the range. */
const MOST_BIAS = 2 ** 30;

/** A function that turns a weight or table into stored integers; GPTQ and others have their own. */
export type WeightRounding = (node: Call, weight: Constant, options: WeightOptions) => QuantizedWeight;

/**
 * A function that gives the mean of each channel that a linear reads, where its bias is to make up for what rounding
 * its weight does to the mean.
 */
export type MeanOf = (node: Call) => Float64Array | undefined;

/** The choices that a plan leaves open. */
export interface PlanChoices {
  /** The scale and zero point of each class of the plan. */
  readonly quants: ReadonlyMap<ValueClass, TensorQuant>;
  /** The rounding of weights; by default each element to its nearest integer. */
  readonly roundWeight?: WeightRounding;
  /** The means for the correction of biases; by default biases stay as they are. */
  readonly meanOf?: MeanOf;
  /** Gives the bias of a linear that was fitted with its rounded weight. */
  readonly biasOf?: (node: Call) => Tensor | undefined;
}

/** What a plan and its choices say of single values: the same for a stored graph and for one that only computes alike. */
export class PlanNumbers {
  readonly #plan: Plan;
  readonly #choices: PlanChoices;

  constructor(plan: Plan, choices: PlanChoices) {
    this.#plan = plan;
    this.#choices = choices;
  }

  /** Scale and zero point of a class. */
  quantOf(values: ValueClass): TensorQuant {
    const quant = this.#choices.quants.get(values);
    if (!quant) throw new Error(`no range is given for ${values.members.map(({ name }) => name).join(', ')}`);
    return quant;
  }

  /** How an input is rounded that is the weight or table of its node; undefined for other inputs and float ones. */
  weightOptions(node: Call, input: Node | undefined, place: number): WeightOptions | undefined {
    if (storedPlace(node) !== place || input?.op !== 'constant') return undefined;
    return weightOptionsOf(this.#plan, this.#choices.quants, node, input);
  }

  round(node: Call, weight: Constant, options: WeightOptions): QuantizedWeight {
    return this.#choices.roundWeight?.(node, weight, options) ?? quantizeWeight(weight.tensor, options);
  }

  /** The fitted or corrected bias of a linear with its name, where its weight is rounded; undefined where it stays. */
  bias(
    node: Call,
    rounded: () => QuantizedWeight | undefined,
  ): { readonly tensor: Tensor; readonly name: string } | undefined {
    const [, weight, bias] = node.inputs;
    if (node.op !== 'linear' || weight?.op !== 'constant' || (bias !== undefined && bias.op !== 'constant'))
      return undefined;
    const name = bias?.name ?? `${node.name}.bias`;
    const fitted = this.#choices.biasOf?.(node);
    if (fitted) return { tensor: fitted, name };
    const mean = this.#choices.meanOf?.(node);
    const numbers = mean && rounded();
    if (!numbers) return undefined;
    return { tensor: correctedBias(weight.tensor, numbers, bias?.tensor, mean), name };
  }
}

/** Decides how a weight or table of a plan is rounded; undefined where it stays float. */
export function weightOptionsOf(
  plan: Plan,
  quants: PlanChoices['quants'],
  node: Call,
  weight: Constant,
): WeightOptions | undefined {
  const settings = plan.settings.get(node);
  if (settings === undefined || settings.scheme === 'float') return undefined;
  const leastScales = hasWeight(node) ? leastScalesOf(plan, quants, node) : undefined;
  const { blocks = PLAIN_BLOCKS } = plan;
  const isPacked = settings.scheme === 'w4';
  const packed = isWordTable(node) ? (blocks.wordTable ?? blocks.w4) : blocks.w4;
  const wanted = settings.granularity !== 'block' ? undefined : isPacked ? packed : blocks.w8;
  const canHaveBlocks = hasWeight(node) || (isPacked && blocks.hasTables);
  const blockSize = wanted && canHaveBlocks ? blockSizeFor(weight.tensor.shape, wanted) : undefined;
  if (blockSize !== undefined) {
    const dtype = !isPacked ? 'i8' : blocks.hasZeroPoints ? 'u4' : 'i4';
    return { dtype, granularity: 'block', blockSize, ...(leastScales && { leastScales }) };
  }
  const granularity = settings.granularity === 'block' ? 'channel' : settings.granularity;
  return { dtype: isPacked ? 'i4' : 'i8', granularity, ...(leastScales && { leastScales }) };
}

/** The smallest weight scales that keep an int32 bias in its range, or undefined where every scale will do. */
function leastScalesOf(plan: Plan, quants: PlanChoices['quants'], node: Call): Float64Array | undefined {
  const [x, , bias] = node.inputs as readonly [Node, Node, Node?];
  const values = plan.stored.get(x) ?? plan.copies.get(x);
  if (!plan.integer.has(node) || !values || bias?.op !== 'constant') return undefined;
  const quant = quants.get(values);
  if (!quant) throw new Error(`no range is given for ${x.name}`);
  return Float64Array.from(readF32(bias.tensor), (value) => Math.abs(value) / (quant.scale * MOST_BIAS));
}
