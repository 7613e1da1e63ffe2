import { readContents } from '../../diff/contents.ts';
import { correspond } from '../../diff/correspond.ts';
import { findGivenNames } from '../../diff/names.ts';
import { numberValues, opName, type Value } from '../../diff/side.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type Attrs, isFloat } from '../../ir/op.ts';
import { opDef } from '../../ir/ops/index.ts';
import { realType } from '../../ir/quantized.ts';
import { normalizeBoth } from '../../passes/canonical/normalize.ts';

/** A value that both graphs compute. */
export interface ValuePair {
  readonly reference: Node;
  readonly model: Node;
}

export interface PairedGraphs {
  /** Copies in one form, which the pairs point into. */
  readonly reference: Graph;
  readonly model: Graph;
  /** In the order in which the reference computes them. */
  readonly pairs: readonly ValuePair[];
}

/** Ops that only store values in another way, and those of which nothing is known. */
const STORES: ReadonlySet<string> = new Set(['cast', 'dequantize', 'dynamicRound', 'foreign', 'pick', 'quantize']);

/** False for what only moves or stores a value: that is compared where it is computed. */
function isComputed(value: Value): boolean {
  return value.op === 'input' || !(STORES.has(value.op) || opDef(value.op).moves);
}

/**
 * Pairs the values of two graphs: by the names that their makers gave, otherwise as `mbert diff` does. A pair has one
 * op and one number of channels; what only moves values is left out.
 *
 * Exact passes bring both into one form first. Where one is quantized they may change the other alone: then the pairs of
 * the graphs as they were read are a second possibility.
 */
export async function pairValues(reference: Graph, model: Graph): Promise<PairedGraphs[]> {
  const forms = isQuantized(reference) || isQuantized(model) ? (['exact', 'raise'] as const) : (['exact'] as const);
  const found: PairedGraphs[] = [];
  for (const form of forms) {
    const { a, b } = await normalizeBoth(reference, model, form);
    found.push(pairAlike(a, b));
  }
  return found.filter(({ pairs }) => pairs.length > 0);
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
      const other = partner === undefined ? undefined : sideB.values[partner];
      // What has this name on the other side is something else: position alone does not say that this is its pair.
      if (other !== undefined && !namesA.has(other.name)) consider(value, other);
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
    isFloat(from.dtype) && isFloat(to.dtype) && from.shape.at(-1) === to.shape.at(-1) && activation(a) === activation(b)
  );
}
