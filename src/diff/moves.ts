import type { Contents } from './contents.ts';
import type { MovedDifference } from './difference.ts';
import type { Slot } from './weights.ts';

/** Slots whose values went round among themselves, and all others. */
interface Moves {
  readonly moved: readonly MovedDifference[];
  readonly others: readonly Slot[];
}

/** Finds slots, among those with other contents, where b has a's content of another one of them, all the way round. */
export function findMoves(slots: readonly Slot[], contents: Contents): Moves {
  const keyOf = (constant: Slot['a']) => `${contents.key(constant)} ${contents.quantKey(constant.type.quant)}`;
  const sources = onlyOnes(slots.map(({ a }) => keyOf(a)));
  const holders = onlyOnes(slots.map(({ b }) => keyOf(b)));
  const source = slots.map(({ b }) => {
    const key = keyOf(b);
    return holders.has(key) ? sources.get(key) : undefined;
  });
  const cycles: number[][] = [];
  const seen = new Set<number>();
  for (const start of slots.keys()) {
    const cycle: number[] = [];
    for (let at: number | undefined = start; at !== undefined && !seen.has(at); at = source[at]) {
      seen.add(at);
      cycle.push(at);
    }
    const last = cycle.at(-1);
    if (last !== undefined && source[last] === start && cycle.length > 1) cycles.push(cycle);
  }
  const inCycle = new Set(cycles.flat());
  return { moved: groupCycles(slots, cycles, source), others: slots.filter((_, i) => !inCycle.has(i)) };
}

/** The place of each text that occurs once. */
function onlyOnes(texts: readonly string[]): Map<string, number> {
  const places = new Map<string, number>();
  const repeated = new Set<string>();
  for (const [i, text] of texts.entries()) {
    if (places.has(text)) repeated.add(text);
    places.set(text, i);
  }
  for (const text of repeated) places.delete(text);
  return places;
}

type Group = Pick<MovedDifference, 'change' | 'between'> & { readonly tensors: { tensor: string; holds: string }[] };

/** Groups cycles of the same layers into one change, as weight and bias of two layers. */
function groupCycles(
  slots: readonly Slot[],
  cycles: readonly (readonly number[])[],
  source: readonly (number | undefined)[],
): MovedDifference[] {
  const groups = new Map<string, Group>();
  for (const cycle of cycles) {
    const names = cycle.map((i) => nameOf(slots, i));
    const between = differingParts(names);
    const change = cycle.every((i) => slots[i]?.b.name === nameOf(slots, i)) ? 'exchanged' : 'moved';
    const key = `${change} ${between}`;
    const group = groups.get(key) ?? { change, between, tensors: [] };
    groups.set(key, group);
    for (const i of cycle) group.tensors.push({ tensor: nameOf(slots, i), holds: nameOf(slots, source[i]) });
  }
  return [...groups.values()].map((group) => ({ kind: 'weights', ...group }));
}

function nameOf(slots: readonly Slot[], i: number | undefined): string {
  return slots[i ?? -1]?.a.name ?? '';
}

/**
 * The names up to the one part that differs, sorted: `layer.2` and `layer.3` of `layer.2.query.weight` and
 * `layer.3.query.weight`.
 */
function differingParts(names: readonly string[]): string[] {
  const rows = names.map((name) => name.split(/(?=[./])/));
  const first = rows[0] ?? [];
  const places = first.map((_, i) => i).filter((i) => rows.some((row) => row[i] !== first[i]));
  const place = places[0];
  if (places.length !== 1 || place === undefined || rows.some((row) => row.length !== first.length)) return [];
  return rows.map((row) => row.slice(0, place + 1).join('')).sort();
}
