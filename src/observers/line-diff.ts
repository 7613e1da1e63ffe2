/** Unchanged lines around a change: as many as `diff -u` and git show. */
const CONTEXT = 3;

/** One line of both texts: where it stands in each, counted from 0. */
interface Pair {
  readonly from: number;
  readonly to: number;
}

/** Texts under their names. */
export interface Side {
  readonly name: string;
  readonly text: string;
}

/**
 * A unified diff, empty where the texts are equal. Of lines that stand once in each text it keeps the most that come in the
 * same order, as patience diff does; others are taken out and put in. Each line of a graph's text begins with a name of its
 * own, so for graphs this is the smallest diff, in n log n where Myers' algorithm takes n times the number of changes.
 */
export function unifiedDiff(before: Side, after: Side): string {
  if (before.text === after.text) return '';
  const [a, b] = [before.text.split('\n'), after.text.split('\n')];
  const lines = [`--- ${before.name}`, `+++ ${after.name}`];
  for (const changes of hunks(changesBetween(inOrder(uniquePairs(a, b)), a, b))) {
    lines.push(...hunkLines(changes, a, b));
  }
  return lines.join('\n');
}

function uniquePairs(a: readonly string[], b: readonly string[]): Pair[] {
  const [inA, inB] = [uniqueLines(a), uniqueLines(b)];
  return [...inA].flatMap(([line, from]) => {
    const to = inB.get(line);
    return to === undefined ? [] : [{ from, to }];
  });
}

/** Lines that stand once in a text, with their places. */
function uniqueLines(lines: readonly string[]): Map<string, number> {
  const places = new Map<string, number>();
  const repeated = new Set<string>();
  for (const [i, line] of lines.entries()) {
    if (places.has(line)) repeated.add(line);
    places.set(line, i);
  }
  for (const line of repeated) places.delete(line);
  return places;
}

/** The longest subsequence of pairs, sorted by `from`, whose `to` rises too. */
function inOrder(pairs: readonly Pair[]): Pair[] {
  // ends[n]: the pair with the least `to` that a rising subsequence of n + 1 pairs can end with.
  const ends: number[] = [];
  const previous = new Int32Array(pairs.length);
  for (const [i, { to }] of pairs.entries()) {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((pairs[ends[middle] as number] as Pair).to < to) low = middle + 1;
      else high = middle;
    }
    previous[i] = low > 0 ? (ends[low - 1] as number) : -1;
    ends[low] = i;
  }
  const chosen: Pair[] = [];
  for (let i = ends.at(-1) ?? -1; i >= 0; i = previous[i] as number) chosen.push(pairs[i] as Pair);
  return chosen.reverse();
}

/** Lines of `a` from `from` until `fromEnd` that became those of `b` from `to` until `toEnd`. */
interface Change {
  readonly from: number;
  readonly fromEnd: number;
  readonly to: number;
  readonly toEnd: number;
}

function changesBetween(pairs: readonly Pair[], a: readonly string[], b: readonly string[]): Change[] {
  const changes: Change[] = [];
  let [from, to] = [0, 0];
  for (const next of [...pairs, { from: a.length, to: b.length }]) {
    if (next.from > from || next.to > to) changes.push({ from, fromEnd: next.from, to, toEnd: next.to });
    [from, to] = [next.from + 1, next.to + 1];
  }
  return changes;
}

/** Changes whose context would touch are shown together. */
function hunks(changes: readonly Change[]): Change[][] {
  const all: Change[][] = [];
  for (const change of changes) {
    const last = all.at(-1);
    const end = last?.at(-1)?.fromEnd;
    if (last !== undefined && end !== undefined && change.from - end <= 2 * CONTEXT) last.push(change);
    else all.push([change]);
  }
  return all;
}

function hunkLines(changes: readonly Change[], a: readonly string[], b: readonly string[]): string[] {
  const [first, last] = [changes[0] as Change, changes.at(-1) as Change];
  const lead = Math.min(CONTEXT, first.from);
  const start = { from: first.from - lead, to: first.to - lead };
  const tail = Math.min(CONTEXT, a.length - last.fromEnd);
  const end = { from: last.fromEnd + tail, to: last.toEnd + tail };
  const lines = [`@@ -${range(start.from, end.from)} +${range(start.to, end.to)} @@`];
  let at = start.from;
  const context = (until: number) => a.slice(at, until).map((line) => ` ${line}`);
  for (const { from, fromEnd, to, toEnd } of changes) {
    lines.push(...context(from));
    lines.push(...a.slice(from, fromEnd).map((line) => `-${line}`), ...b.slice(to, toEnd).map((line) => `+${line}`));
    at = fromEnd;
  }
  return [...lines, ...context(end.from)];
}

/** `start,count` as unified diffs count: from 1, and an empty range by the line before it. */
function range(start: number, end: number): string {
  return `${end === start ? start : start + 1},${end - start}`;
}
