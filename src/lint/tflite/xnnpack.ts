import {
  type LintGraph,
  type LintOperator,
  type LintTensor,
  operatorsOf,
  type TfliteModel,
  tensorsOf,
} from './model.ts';
import { hasQuantOf, isNormal, refusal, requantizationProblem } from './xnnpack-operators.ts';

/** The prediction for one operator. */
export interface OperatorPrediction {
  readonly where: string;
  readonly code: string;
  /** The XNNPACK partition that runs it, counted from 0; absent where LiteRT's own kernel does. */
  readonly partition?: number;
  /** The reason why XNNPACK does not run it. */
  readonly reason?: string;
}

/** The prediction for a file. */
export interface DelegationPrediction {
  /**
   * The number of partitions that XNNPACK makes, each a DELEGATE node in LiteRT. Between them values are copied and
   * slow kernels run.
   */
  readonly partitions: number;
  readonly operators: readonly OperatorPrediction[];
  /** Problems that make the delegate fail where it should decline, so that the file does not load. */
  readonly failures: readonly string[];
}

/**
 * Predicts which operators of a file's first subgraph XNNPACK takes, and how many partitions that makes, without
 * running the file.
 */
export function predictDelegation(model: TfliteModel): DelegationPrediction {
  const graph = model.graphs[0] ?? { tensors: [], operators: [], inputs: [], outputs: [] };
  const reasons = delegated(graph);
  const epochs = partition(graph.operators, reasons);
  const partitions = [...new Set(epochs.filter((epoch, i) => epoch >= 0 && reasons[i] === null))].sort((a, b) => a - b);
  return {
    partitions: partitions.length,
    operators: graph.operators.map(({ where, code }, i) => {
      const reason = epochs[i] === -1 ? 'its inputs are never computed' : reasons[i];
      if (typeof reason === 'string') return { where, code, reason };
      return { where, code, partition: partitions.indexOf(epochs[i] as number) };
    }),
    failures: [...failuresOf(model)],
  };
}

/**
 * Gives null for each operator that XNNPACK takes, or the reason why it does not. A DEQUANTIZE of a constant is
 * unpacked once when the file is loaded: it goes with the operators that read it, unless one of these stays outside.
 */
function delegated({ operators }: LintGraph): (string | null)[] {
  const unpacked = new Map<LintTensor, number>();
  const isStatic = (tensor: LintTensor): boolean => tensor.data !== undefined || unpacked.has(tensor);
  const reasons: (string | null)[] = [];
  for (const [i, operator] of operators.entries()) {
    const [input] = operator.inputs;
    const [output] = operator.outputs;
    if (operator.code === 'DEQUANTIZE' && input && output && isUnpacked(input, isStatic)) {
      unpacked.set(output, i);
      reasons.push(null);
      continue;
    }
    const reason = refusal(operator, isStatic);
    reasons.push(reason);
    if (reason === null) continue;
    for (const tensor of operator.inputs) {
      const producer = tensor && unpacked.get(tensor);
      if (producer !== undefined) reasons[producer] = `${operator.where}, which reads it, stays outside`;
    }
  }
  return reasons;
}

function isUnpacked(input: LintTensor, isStatic: (tensor: LintTensor) => boolean): boolean {
  if (!isStatic(input)) return false;
  return input.type === 'FLOAT16' || (input.type === 'INT8' && input.scales.length > 0);
}

/**
 * Numbers the subset of each operator, as LiteRT's graph_info.cc forms them: the first operator whose inputs are there
 * opens a subset, which then takes every operator of its kind (taken by XNNPACK, or not) that becomes ready. What is
 * ready afterwards is of the other kind.
 */
function partition(operators: readonly LintOperator[], reasons: readonly (string | null)[]): number[] {
  const epochs = new Array<number>(operators.length).fill(-1);
  const readers = new Map<LintTensor, number[]>();
  for (const { outputs } of operators) for (const output of outputs) readers.set(output, []);
  const missing = operators.map(({ inputs }, i) => {
    const computed = inputs.flatMap((tensor) => (tensor === undefined ? [] : [readers.get(tensor) ?? []]));
    for (const list of computed) list.push(i);
    return inputs.filter((tensor) => tensor !== undefined && readers.has(tensor)).length;
  });
  const ready: { readonly taken: number[]; readonly left: number[] } = { taken: [], left: [] };
  const put = (i: number): number => (reasons[i] === null ? ready.taken : ready.left).push(i);
  for (const [i, count] of missing.entries()) if (count === 0) put(i);
  let queue = (ready.taken[0] ?? operators.length) < (ready.left[0] ?? operators.length) ? ready.taken : ready.left;
  for (let epoch = 0; queue.length > 0; epoch++) {
    for (let i = queue.pop(); i !== undefined; i = queue.pop()) {
      epochs[i] = epoch;
      for (const output of operators[i]?.outputs ?? []) {
        for (const reader of readers.get(output) ?? []) if (--(missing[reader] as number) === 0) put(reader);
      }
    }
    queue = queue === ready.taken ? ready.left : ready.taken;
  }
  return epochs;
}

/** Operators that only move values, whose XNNPACK versions need one scale for input and output. */
const MOVES: ReadonlySet<string> = new Set(['CONCATENATION', 'PAD', 'SLICE', 'SPLIT', 'STRIDED_SLICE', 'TRANSPOSE']);

/** Lists what XNNPACK takes and then fails on. */
function* failuresOf(model: TfliteModel): Iterable<string> {
  for (const operator of operatorsOf(model)) {
    const { code, inputs, outputs, where } = operator;
    const [x, weight, bias] = inputs;
    const isLinear = code === 'FULLY_CONNECTED' || code === 'CONV_2D';
    if (isLinear && weight !== undefined && weight.scales.length > 1) {
      const zeroPoint = weight.zeroPoints.find((value) => value !== 0);
      if (zeroPoint !== undefined) yield `${where}: ${weight.name} has the zero point ${zeroPoint} per channel`;
    }
    if (isLinear && x?.type === 'INT8' && bias?.type === 'FLOAT32') yield `${where}: ${bias.name} is a float bias`;
    const ratio = requantizationProblem(operator);
    if (ratio !== null) yield `${where}: ${ratio}`;
    if (!MOVES.has(code)) continue;
    const values = [...inputs, ...outputs].filter((tensor) => tensor?.type === 'INT8' && tensor.scales.length === 1);
    const odd = values.find((tensor) => !hasQuantOf(tensor as LintTensor, values[0] as LintTensor));
    if (odd !== undefined) yield `${where}: ${code} between unequal scales or zero points`;
  }
  for (const { name, scales } of tensorsOf(model)) {
    const at = scales.findIndex((scale) => !isNormal(scale));
    if (at >= 0) yield `${name}: scale ${at} is ${scales[at]}`;
  }
}
