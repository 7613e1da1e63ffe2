import { layerOf } from '../../ir/names.ts';

/** A node as grouping sees it; inputs are places of earlier nodes, or of later ones where a graph was merged. */
interface Groupable {
  readonly name: string;
  readonly inputs: readonly number[];
  /** Layer of the node, where the name does not tell it. */
  readonly layer?: string | undefined;
}

/** Nodes that are drawn in one box, in graph order. */
export interface NodeGroup {
  readonly title: string;
  /** Start of most names in it; empty where it is no layer. */
  readonly prefix: string;
  readonly nodes: readonly number[];
}

/** Most nodes of a box: more are hard to read, and slow to lay out. */
const MOST_NODES = 240;

/** Number of parts, about, into which a graph is cut whose names tell no layers. */
const PARTS = 24;

/** Least nodes of such a part. */
const FEWEST_NODES = 40;

/** Groups nodes into layers in graph order, with what comes before and behind them. Every node is in one group. */
export function groupNodes(nodes: readonly Groupable[]): NodeGroup[] {
  const layers = nodes.map(({ name, layer }) => layer ?? layerOf(name));
  const order = layersInOrder(layers);
  if (order.length === 0) {
    const size = Math.min(MOST_NODES / 2, Math.max(FEWEST_NODES, nodes.length / PARTS));
    return cut(nodes, places(nodes.length), size, 'part');
  }
  const groups: number[][] = [[], ...order.map(() => []), []];
  const group: number[] = [];
  for (const [i, { name, inputs }] of nodes.entries()) {
    const layer = layers[i];
    const latest = Math.max(0, ...inputs.map((input) => group[input] ?? 0));
    const isBehind = latest > 0 && !isCounted(name);
    group[i] = layer === undefined ? (isBehind ? groups.length - 1 : latest) : order.indexOf(layer) + 1;
    groups[group[i] as number]?.push(i);
  }
  return groups.flatMap((members, i) => {
    const prefix = order[i - 1] ?? '';
    const title = i === 0 ? 'inputs and embeddings' : prefix === '' ? 'head' : prefix;
    if (members.length > MOST_NODES) return cut(nodes, members, MOST_NODES / 2, title, prefix);
    return members.length === 0 ? [] : [{ title, prefix, nodes: members }];
  });
}

/** Layers in order of where they end: what a layer shares with others may come early. */
function layersInOrder(layers: readonly (string | undefined)[]): string[] {
  const last = new Map<string, number>();
  for (const [i, layer] of layers.entries()) if (layer !== undefined) last.set(layer, i);
  return [...last].sort(([, a], [, b]) => a - b).map(([layer]) => layer);
}

/** True for `add_17` and what hangs on it: a name that counts tells nothing about the place. */
function isCounted(name: string): boolean {
  return /^[a-zA-Z0-9]*_?\d+(?!\w)/.test(name);
}

function places(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Cuts nodes into parts of about `size`, where the fewest values pass. */
function cut(
  nodes: readonly Groupable[],
  members: readonly number[],
  size: number,
  title: string,
  prefix = '',
): NodeGroup[] {
  const passing = passingAfter(nodes, members);
  const parts: (readonly number[])[] = [];
  for (let start = 0; start < members.length; ) {
    let end = members.length;
    if (members.length - start > 1.5 * size) {
      end = start + Math.ceil(size / 2);
      for (let at = end; at < start + 1.5 * size; at++) {
        if ((passing[at - 1] as number) <= (passing[end - 1] as number)) end = at;
      }
    }
    parts.push(members.slice(start, end));
    start = end;
  }
  return parts.map((part, i) => ({ title: `${title} ${i + 1} of ${parts.length}`, prefix, nodes: part }));
}

/** Number of values, for each member, that are computed up to there and read behind it. */
function passingAfter(nodes: readonly Groupable[], members: readonly number[]): number[] {
  const at = new Map(members.map((node, i) => [node, i]));
  const lastUse = members.map((_, i) => i);
  for (const [i, member] of members.entries()) {
    for (const input of nodes[member]?.inputs ?? []) {
      const place = at.get(input);
      if (place !== undefined) lastUse[place] = Math.max(lastUse[place] as number, i);
    }
  }
  const change = new Array<number>(members.length + 1).fill(0);
  for (const [i, last] of lastUse.entries()) {
    if (last === i) continue;
    change[i] = (change[i] as number) + 1;
    change[last] = (change[last] as number) - 1;
  }
  let passing = 0;
  return members.map((_, i) => {
    passing += change[i] as number;
    return passing;
  });
}
