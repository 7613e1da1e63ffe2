import { layerOf } from '../../ir/names.ts';
import type { Distribution } from '../../metrics/distribution.ts';
import type { GraphOutline, OutlineNode, OutlineWeight } from '../../opened/outline.ts';
import type { DiffOutline } from '../../pipelines/diff/outline.ts';
import { size } from '../text.ts';

/** A node as a picture shows it. */
export interface PictureNode {
  readonly name: string;
  readonly op: string;
  readonly type: string;
  /** State of the node, one of the picture's, which gives its colour. */
  readonly state: string;
  readonly inputs: readonly { readonly node: number; readonly state: EdgeState }[];
  /** Further facts that are shown when it is chosen: headings and texts. */
  readonly details: readonly (readonly [string, string])[];
  /** Distributions of its values and of the weights that it reads, drawn when it is chosen. */
  readonly plots: readonly Plot[];
  /** Bytes of the weights that it is the first to read. */
  readonly bytes: number;
  /** Layer of the node, where it is not the one that the name tells. */
  readonly layer?: string | undefined;
}

/** A histogram, with the range that integers hold where values are stored so. */
export interface Plot {
  readonly title: string;
  readonly values: Distribution;
  readonly limits?: readonly [number, number] | undefined;
  /** Ends of the axis, where it is shared with another histogram. Default: those of the values and the limits. */
  readonly axis?: readonly [number, number] | undefined;
}

export type EdgeState = 'same' | 'added' | 'removed';

/** Nodes of a quantized or float graph, coloured by how results and weights are stored. */
export function storageNodes(outline: GraphOutline): PictureNode[] {
  const owned = new Set<number>();
  return outline.nodes.map((node) => ({
    name: node.name,
    op: node.op,
    type: node.type,
    state: storageState(node, outline),
    inputs: node.inputs.map((input) => ({ node: input, state: 'same' as const })),
    details: [['stored as', node.storage], ...weightDetails(node, outline)],
    plots: plotsOf(node, outline),
    bytes: newBytes(node, outline, owned),
  }));
}

/** Meaning of a colour, and the letter that tells it without colour. */
export interface StateMeaning {
  readonly symbol: string;
  readonly meaning: string;
}

/** States of `storageNodes`, in the order of a legend. */
export const STORAGE_STATES = {
  integer: { symbol: 'i', meaning: 'result stored as integers' },
  stored: { symbol: 'w', meaning: 'weight stored as integers, result float' },
  half: { symbol: 'h', meaning: 'weight stored as 16-bit float' },
  float: { symbol: 'f', meaning: 'float' },
  other: { symbol: '', meaning: 'ids, masks, inputs' },
} as const;

function storageState(node: OutlineNode, { weights }: GraphOutline): keyof typeof STORAGE_STATES {
  if (node.storage.includes(' per ')) return 'integer';
  const read = node.weights.map((weight) => weights[weight] as OutlineWeight);
  // Small constants, as a scale of attention, do not make an op one with a weight.
  const largest = read.toSorted((a, b) => b.bytes - a.bytes)[0];
  if (largest?.storage.includes(' per ') || /^[iu](4|8)/.test(largest?.storage ?? '')) return 'stored';
  if (/^b?f16/.test(largest?.storage ?? '')) return 'half';
  return node.op !== 'input' && /^b?f\d/.test(node.storage) ? 'float' : 'other';
}

function weightDetails({ weights: read }: OutlineNode, { weights }: GraphOutline): [string, string][] {
  return read.map((place) => {
    const { name, type, storage, bytes, values: known } = weights[place] as OutlineWeight;
    const stored = storage.includes(' per ') ? `, ${storage}` : '';
    const values = known ? `, values ${rangeText(known)}` : '';
    return ['reads', `${name} ${type}${stored}, ${size(bytes)}${values}`];
  });
}

function plotsOf({ values, limits, weights: read }: OutlineNode, { weights }: GraphOutline): Plot[] {
  const own = values ? [{ title: 'its values on the texts', values, limits }] : [];
  const ofWeights = read.flatMap((place) => {
    const { name, values: ofWeight } = weights[place] as OutlineWeight;
    return ofWeight ? [{ title: name, values: ofWeight }] : [];
  });
  return [...own, ...ofWeights];
}

/** Histograms of weights that differ, those of a before those of b, on one axis where each has one partner. */
function plotsOfBoth(inA: readonly Plot[], inB: readonly Plot[]): Plot[] {
  const of = (side: 'a' | 'b', { title, ...plot }: Plot) => ({ ...plot, title: `${title} in ${side}` });
  if (inA.length !== inB.length) return [...inA.map((plot) => of('a', plot)), ...inB.map((plot) => of('b', plot))];
  return inA.flatMap((plot, i) => {
    const partner = inB[i] as Plot;
    const least = Math.min(plot.values.least, partner.values.least);
    const most = Math.max(plot.values.most, partner.values.most);
    const axis = [least, most] as const;
    return [
      { ...of('a', plot), axis },
      { ...of('b', partner), axis },
    ];
  });
}

function rangeText({ least, most }: Distribution): string {
  return `${Number(least.toPrecision(4))} to ${Number(most.toPrecision(4))}`;
}

function newBytes({ weights: read }: OutlineNode, { weights }: GraphOutline, owned: Set<number>): number {
  let bytes = 0;
  for (const place of read) {
    if (owned.has(place)) continue;
    owned.add(place);
    bytes += weights[place]?.bytes ?? 0;
  }
  return bytes;
}

/** States of `diffNodes`, in the order of a legend. The first that applies is a node's. */
export const DIFF_STATES = {
  added: { symbol: '+', meaning: 'only in b' },
  removed: { symbol: '−', meaning: 'only in a' },
  structure: { symbol: '~', meaning: 'other inputs or attributes' },
  quant: { symbol: 'q', meaning: 'quantized in another way' },
  weights: { symbol: 'w', meaning: 'other weights' },
  numeric: { symbol: '≠', meaning: 'output values differ' },
  same: { symbol: '', meaning: 'the same' },
} as const;

/** Mark that a difference leaves on the nodes that it is about. */
export interface NodeMark {
  readonly state: keyof typeof DIFF_STATES;
  readonly text: string;
}

/** Nodes of both graphs in one: b's, and between them what only a has. `marks` are by difference. */
export function diffNodes(outline: DiffOutline, marks: readonly NodeMark[]): PictureNode[] {
  const { a, b, partners, places } = outline;
  const merged = mergedOrder(outline);
  const placeInPicture = new Map(merged.map(({ side, place }, i) => [`${side}${place}`, i]));
  const ofA = new Map(partners.flatMap((partner, place) => (partner === null ? [] : [[partner, place] as const])));
  const pictureOfA = (place: number) => {
    const partner = ofA.get(place);
    return placeInPicture.get(partner === undefined ? `a${place}` : `b${partner}`) as number;
  };
  const marked = merged.map((): NodeMark[] => []);
  for (const [i, { a: inA, b: inB }] of places.entries()) {
    const nodes = new Set([...inA.map(pictureOfA), ...inB.map((place) => placeInPicture.get(`b${place}`) as number)]);
    for (const node of nodes) marked[node]?.push(marks[i] as NodeMark);
  }
  const movedTo = layersInB(outline);
  const owned = { a: new Set<number>(), b: new Set<number>() };
  return merged.map(({ side, place }, i): PictureNode => {
    const graph = side === 'a' ? a : b;
    const node = graph.nodes[place] as OutlineNode;
    const partner = side === 'b' ? (partners[place] ?? undefined) : undefined;
    const nodeInA = partner === undefined ? undefined : a.nodes[partner];
    const own = new Set(
      node.inputs.map((input) => (side === 'a' ? pictureOfA(input) : (placeInPicture.get(`b${input}`) as number))),
    );
    const before = nodeInA ? new Set(nodeInA.inputs.map(pictureOfA)) : own;
    const onlySide = side === 'a' ? 'removed' : nodeInA === undefined ? 'added' : undefined;
    const layer = layerOf(node.name);
    return {
      name: node.name,
      op: node.op,
      type: node.type,
      state: onlySide ?? stateOf(marked[i] ?? []),
      inputs: [
        ...[...own].map((input) => edge(input, onlySide ?? (before.has(input) ? 'same' : 'added'))),
        ...[...before].filter((input) => !own.has(input)).map((input) => edge(input, 'removed')),
      ],
      details: [
        ...(nodeInA && nodeInA.name !== node.name ? ([['in a', nodeInA.name]] as const) : []),
        ['stored as', node.storage],
        ...weightDetails(node, graph),
        ...(marked[i] ?? []).map(({ text }) => ['difference', text] as const),
      ],
      plots: plotsOfBoth(
        side === 'a' ? plotsOf(node, a) : nodeInA ? plotsOf(nodeInA, a) : [],
        side === 'b' ? plotsOf(node, b) : [],
      ),
      bytes: newBytes(node, graph, owned[side]),
      layer: side === 'a' && layer !== undefined ? (movedTo.get(layer) ?? `${layer} of a`) : layer,
    };
  });
}

function edge(node: number, state: EdgeState): PictureNode['inputs'][number] {
  return { node, state };
}

function stateOf(marks: readonly NodeMark[]): keyof typeof DIFF_STATES {
  const states = Object.keys(DIFF_STATES) as (keyof typeof DIFF_STATES)[];
  return states.find((state) => marks.some((mark) => mark.state === state)) ?? 'same';
}

interface Place {
  readonly side: 'a' | 'b';
  readonly place: number;
}

/** Order of all nodes, inputs before users where both graphs agree: what only a has stands where its readers were. */
function mergedOrder({ a, b, partners }: DiffOutline): Place[] {
  const partnerOfA = new Map<number, number>();
  for (const [place, partner] of partners.entries()) if (partner !== null) partnerOfA.set(partner, place);
  const asPlace = (ofA: number): Place => {
    const partner = partnerOfA.get(ofA);
    return partner === undefined ? { side: 'a', place: ofA } : { side: 'b', place: partner };
  };
  const readBy = ({ side, place }: Place): Place[] => {
    if (side === 'a') return (a.nodes[place]?.inputs ?? []).map(asPlace);
    const partner = partners[place] ?? undefined;
    return [
      ...(b.nodes[place]?.inputs ?? []).map((input): Place => ({ side: 'b', place: input })),
      ...(partner === undefined ? [] : (a.nodes[partner]?.inputs ?? [])).map(asPlace),
    ];
  };
  const order: Place[] = [];
  const seen = new Set<string>();
  const visit = (root: Place) => {
    const stack = [{ at: root, reads: readBy(root), next: 0 }];
    seen.add(`${root.side}${root.place}`);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.reads[top.next++];
      if (input === undefined) {
        order.push(top.at);
        stack.pop();
      } else if (!seen.has(`${input.side}${input.place}`)) {
        seen.add(`${input.side}${input.place}`);
        stack.push({ at: input, reads: readBy(input), next: 0 });
      }
    }
  };
  for (const place of b.nodes.keys()) if (!seen.has(`b${place}`)) visit({ side: 'b', place });
  for (const place of a.nodes.keys()) if (!partnerOfA.has(place) && !seen.has(`a${place}`)) visit({ side: 'a', place });
  return order;
}

/** Layer of b, for each layer of a, in which most of its nodes are. */
function layersInB({ a, b, partners }: DiffOutline): Map<string, string> {
  const counts = new Map<string, Map<string, number>>();
  for (const [place, partner] of partners.entries()) {
    const from = partner === null ? undefined : layerOf(a.nodes[partner]?.name ?? '');
    const to = layerOf(b.nodes[place]?.name ?? '');
    if (from === undefined || to === undefined) continue;
    const ofLayer = counts.get(from) ?? new Map<string, number>();
    counts.set(from, ofLayer.set(to, (ofLayer.get(to) ?? 0) + 1));
  }
  return new Map(
    [...counts].map(([from, ofLayer]) => [from, [...ofLayer].sort(([, x], [, y]) => y - x)[0]?.[0] ?? from]),
  );
}
