import type { Constant, Node } from '../ir/graph.ts';
import { alignInputs, isSameValue, type Read } from './align.ts';
import { compareAttributes } from './attributes.ts';
import type { Contents } from './contents.ts';
import type { GraphDifference, Names, OperandsDifference } from './difference.ts';
import type { Dims } from './dims.ts';
import type { Pairing } from './pairing.ts';
import { quantChange, quantDifference } from './quants.ts';
import type { ChangedRead } from './regions.ts';
import { opName, type Value } from './side.ts';
import type { Slot } from './weights.ts';

/** Differences of paired values, and the constants that they read in the same places. */
interface ComparedPairs {
  readonly differences: readonly GraphDifference[];
  readonly reads: readonly ChangedRead[];
  readonly slots: readonly Slot[];
  /** Number of pairs with two names. */
  readonly renamed: number;
}

/** Compares paired values. `extra` are values beside each other that no pair reads, as outputs. */
export function comparePairs(
  pairing: Pairing,
  contents: Contents,
  dims: Dims,
  extra: readonly (readonly [Node, Node])[],
): ComparedPairs {
  const differences: GraphDifference[] = [];
  const reads: ChangedRead[] = [];
  const slots = new SlotSet();
  let renamed = 0;
  for (const [i, a] of pairing.a.values.entries()) {
    const partner = pairing.partnerOfA(i);
    if (partner === undefined) continue;
    const b = pairing.b.values[partner] as Value;
    const names = { a: a.name, b: b.name };
    if (a.name !== b.name && a.op !== 'input') renamed++;
    const inputs = alignInputs(pairing, contents, a, b);
    for (const { from, to } of inputs) slots.add(from, to);
    const changed = inputs.filter(({ from, to }) => !(from && to && isSameValue(pairing, from, to)));
    const swapped = swappedOperands(pairing, a, names, changed);
    if (swapped) differences.push(swapped);
    else reads.push(...changed.map((read) => changedRead(read, names, a, b)));
    const attributes = compareAttributes(a, b, dims);
    if (attributes) differences.push(attributes);
    const storage = quantChange(a.type, b.type, contents);
    if (storage) differences.push(quantDifference('activation', a, b, storage));
  }
  for (const [from, to] of extra) slots.add(from, to);
  return { differences, reads, slots: slots.list, renamed };
}

/** Pairs of constants, each once. */
class SlotSet {
  readonly list: Slot[] = [];
  readonly #partners = new Map<Constant, Set<Constant>>();

  add(a: Node | undefined, b: Node | undefined): void {
    if (a?.op !== 'constant' || b?.op !== 'constant') return;
    const partners = this.#partners.get(a) ?? new Set();
    if (partners.has(b)) return;
    this.#partners.set(a, partners.add(b));
    this.list.push({ a, b });
  }
}

/** The difference of a pair whose changed inputs are all still there, in other places. */
function swappedOperands(
  pairing: Pairing,
  value: Value,
  node: Names,
  changed: readonly Read[],
): OperandsDifference | undefined {
  if (changed.length < 2) return undefined;
  const left = changed.map(({ to }) => to);
  for (const { from } of changed) {
    const at = left.findIndex((to) => from && to && isSameValue(pairing, from, to));
    if (at < 0) return undefined;
    left.splice(at, 1);
  }
  const names = (side: 'from' | 'to') => changed.map((read) => read[side]?.name ?? '');
  return {
    kind: 'structure',
    change: 'operands-swapped',
    node,
    op: opName(value),
    from: names('from'),
    to: names('to'),
  };
}

/** A changed input of a pair; where the pair has another number of inputs, all of them move up, which is one change. */
function changedRead({ input, from, to }: Read, node: Names, a: Value, b: Value): ChangedRead {
  const key = a.inputs.length === b.inputs.length ? undefined : a.name;
  return { node, input, from, to, key };
}
