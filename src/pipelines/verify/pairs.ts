import { readContents } from '../../diff/contents.ts';
import { correspond } from '../../diff/correspond.ts';
import { findGivenNames } from '../../diff/names.ts';
import { numberValues, opName, type Value } from '../../diff/side.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type Attrs, isFloat } from '../../ir/op.ts';
import { opDef } from '../../ir/ops/index.ts';
import { realType } from '../../ir/quantized.ts';
import type { Shape } from '../../ir/shape.ts';
import { normalizeBoth } from '../../passes/canonical/normalize.ts';

/** A value that both graphs compute. */
export interface ValuePair {
  readonly reference: Node;
  readonly model: Node;
}

/** Two graphs in one form, and the values that both compute. */
export interface PairedGraphs {
  /** Copy of the reference's graph in the common form; pairs point into it. */
  readonly reference: Graph;
  /** Copy of the model's graph in the common form. */
  readonly model: Graph;
  /** Pairs in the order in which the reference computes them. */
  readonly pairs: readonly ValuePair[];
}

/** Ops that only store values in another way, and those of which mbert knows nothing. */
const STORES: ReadonlySet<string> = new Set(['cast', 'dequantize', 'dynamicRound', 'foreign', 'pick', 'quantize']);

/** False for a value that is only moved or stored: it is compared where it is computed. */
function isComputed(value: Value): boolean {
  return value.op === 'input' || !(STORES.has(value.op) || opDef(value.op).moves);
}

/**
 * Pairs the values of two graphs: by the names that their makers gave, otherwise as `mbert diff` does. A pair has one
 * op and one number of channels; what only moves values is left out.
 *
 * Exact passes bring both graphs into one form first. Where one graph is quantized these may change the other one
 * alone: then the pairs of the graphs as they were read are a second possibility.
 */
export async function pairValues(reference: Graph, model: Graph): Promise<PairedGraphs[]> {
  const forms = isQuantized(reference) || isQuantized(model) ? (['exact', 'raise'] as const) : (['exact'] as const);
  const pairings: PairedGraphs[] = [];
  for (const form of forms) {
    const { a, b } = await normalizeBoth(reference, model, form);
    pairings.push(pairAlike(a, b));
  }
  return pairings.filter(({ pairs }) => pairs.length > 0);
}

function isQuantized(graph: Graph): boolean {
  return graph.nodes().some(({ op, type }) => type.quant !== undefined || op === 'dynamicRound');
}

function pairAlike(reference: Graph, model: Graph): PairedGraphs {
  const [sideA, sideB] = [numberValues(reference), numberValues(model)];
  const pairing = correspond(sideA, sideB, readContents(reference, model));
  const namesA = givenNames(sideA.values);
  const namesB = givenNames(sideB.values);
  const taken = new Set<Node>();
  const pairs: ValuePair[] = [];
  const consider = (a: Value, b: Value | undefined) => {
    if (b === undefined || taken.has(b) || !isComparable(a, b)) return;
    taken.add(b);
    pairs.push({ reference: a, model: b });
  };
  for (const [i, value] of sideA.values.entries()) {
    if (value.op === 'input' || !isComputed(value)) continue;
    const named = namesA.has(value.name) ? namesB.get(value.name) : undefined;
    if (named !== undefined && isComparable(value, named)) consider(value, named);
    else {
      const partner = pairing.partnerOfA(i);
      const candidate = partner === undefined ? undefined : sideB.values[partner];
      // A candidate with the name of another node of the reference belongs to that one: position alone makes no pair.
      if (candidate !== undefined && !namesA.has(candidate.name)) consider(value, candidate);
    }
  }
  return { reference, model, pairs };
}

function givenNames(values: readonly Value[]): ReadonlyMap<string, Value> {
  const isGiven = findGivenNames(values.map(({ name }) => name));
  return new Map(values.filter(({ name }) => isGiven(name)).map((value) => [value.name, value]));
}

function isComparable(a: Value, b: Value): boolean {
  if (opName(a) !== opName(b) || !isComputed(a)) return false;
  const [from, to] = [realType(a.type), realType(b.type)];
  // A linear with its activation computes something else than one without.
  const activation = (value: Value) => (value.op === 'input' ? undefined : (value.attrs as Attrs)['activation']);
  return (
    isFloat(from.dtype) &&
    isFloat(to.dtype) &&
    from.shape.at(-1) === to.shape.at(-1) &&
    activation(a) === activation(b) &&
    !isOfOneTokenInOne(from.shape, to.shape)
  );
}

/** True for a value that one model computes for a single token and the other for all, as a classifier's last layer. */
function isOfOneTokenInOne(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.some((dim, axis) => axis > 0 && (dim === 1) !== (b[axis] === 1));
}
