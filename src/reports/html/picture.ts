import { plural, size } from '../text.ts';
import { LAYER_TONES, type LayerMark } from './layer-marks.ts';
import { groupNodes, type NodeGroup } from './layers.ts';
import { type Layout, layOut } from './layout.ts';
import { html, jsonMarkup, type Markup, NOTHING } from './markup.ts';
import type { EdgeState, PictureNode, Plot, StateMeaning } from './picture-nodes.ts';

/** Data that the page's script draws. */
interface PictureData {
  /** Letters that stand for states. */
  readonly symbols: { readonly [state: string]: string };
  readonly groups: readonly GroupData[];
  readonly layouts: readonly Layout[];
  /** Distributions of values, each once however many nodes read a weight. */
  readonly histograms: readonly HistogramData[];
  /** Links between groups and how they are drawn. What many read is left out, as a mask. */
  readonly links: readonly (readonly [from: number, to: number, state: EdgeState])[];
}

interface GroupData {
  readonly title: string;
  /** Short title, as `layer.3`. */
  readonly short: string;
  /** Summary, as `62 nodes · 1.7 MB of weights`. */
  readonly summary: string;
  /** What was measured behind the layer, where it was. */
  readonly mark: LayerMark | null;
  /** Number of nodes that do not have the last state, which is the one that nothing is said of. */
  readonly marked: number;
  /** State of each node. */
  readonly states: readonly string[];
  /** Place in `layouts`; null where the graph has too many nodes to draw all. The rest is empty then. */
  readonly layout: number | null;
  /** Texts of each box and of a chosen node. */
  readonly nodes: readonly NodeData[];
  /** Values that come from other groups, then those that go there: label and whole name. */
  readonly ports: readonly (readonly [string, string])[];
}

type NodeData = readonly [
  op: string,
  label: string,
  name: string,
  type: string,
  details: PictureNode['details'],
  plots: readonly PlotData[],
];

type Range = readonly [number, number] | null;

type PlotData = readonly [title: string, histogram: number, limits: Range, axis: Range];

type HistogramData = readonly [least: number, most: number, rms: number, counts: readonly number[]];

interface PictureOptions {
  /** Meanings of the states, in order; the last one is that of a node of which there is nothing to say. */
  readonly states: { readonly [state: string]: StateMeaning };
  /** Name of what is counted in the title of a group, as `change`. Undefined where states are no findings. */
  readonly finding?: string | undefined;
  /** What was measured behind layers, by their names. */
  readonly layers?: ReadonlyMap<string, LayerMark> | undefined;
}

/** Most nodes that are drawn: laying out ten thousand takes seconds, and the page would get too large. */
const MOST_DRAWN_NODES = 6000;

/** Makes a picture of a graph as boxes of layers that open: a place for the page's script, its data, and a legend. */
export function picture(nodes: readonly PictureNode[], { states, finding, layers }: PictureOptions): Markup {
  if (nodes.length === 0) return NOTHING;
  const data = pictureData(nodes, { states, finding, layers });
  const used = new Set(nodes.map(({ state }) => state));
  const legend = Object.entries(states).filter(([state]) => used.has(state));
  const tones = Object.entries(LAYER_TONES).filter(([tone]) => data.groups.some(({ mark }) => mark?.tone === tone));
  const hidden = data.groups.filter(({ layout }) => layout === null).length;
  return html`<div class="picture" data-picture>
<div class="toolbar" role="toolbar" aria-label="Graph">
<button type="button" data-do="out" aria-label="Zoom out">−</button><button type="button" data-do="in" aria-label="Zoom in">+</button><button type="button" data-do="fit">Fit width</button><button type="button" data-do="close">Close all</button><button type="button" data-enlarge>Full screen</button>${
    finding === undefined ? null : html`<button type="button" data-do="marked">Open layers with ${finding}s</button>`
  }
<input type="search" data-find placeholder="Find a node" aria-label="Find a node by name">
</div>
<ul class="legend">${legend.map(([state, { symbol, meaning }]) => html`<li><span class="${`swatch s-${state}`}">${symbol}</span>${meaning}</li>`)}${tones.map(([tone, { symbol, meaning }]) => html`<li><span class="${`swatch l-${tone}`}">${symbol}</span>${meaning}</li>`)}</ul>
<div class="stage"><ol class="map" aria-label="Layers"></ol><div class="canvas" tabindex="0" role="region" aria-label="Graph, layer by layer"></div>
<aside class="chosen" aria-live="polite"><p class="hint">Open a layer to see its nodes; choose a node to read about it. Ctrl and the wheel zoom.</p></aside></div>
${hidden === 0 ? null : html`<p class="note">${plural(hidden, 'box')} of ${data.groups.length} cannot be opened: the picture shows ${MOST_DRAWN_NODES} nodes at most.</p>`}
<noscript><p class="note">The picture needs JavaScript. The tables do not.</p></noscript>
<script type="application/json">${jsonMarkup(data)}</script>
</div>`;
}

function pictureData(nodes: readonly PictureNode[], { states, finding, layers }: PictureOptions): PictureData {
  const neutral = Object.keys(states).at(-1) as string;
  const groups = groupNodes(
    nodes.map(({ name, inputs, layer }) => ({ name, layer, inputs: inputs.map((i) => i.node) })),
  );
  const groupOf = new Map(groups.flatMap((group, i) => group.nodes.map((node) => [node, i] as const)));
  const readers = readersOf(nodes);
  const drawn = choose(groups, (node) => nodes[node]?.state !== neutral);
  const layouts: Layout[] = [];
  const places = new Map<string, number>();
  const placeOf = (request: Parameters<typeof layOut>[0]) => {
    const key = JSON.stringify(request);
    const place = places.get(key) ?? layouts.push(layOut(request)) - 1;
    places.set(key, place);
    return place;
  };
  const histograms = new Map<Plot['values'], readonly [number, HistogramData]>();
  const rangeOf = (range: Plot['axis']): Range => (range ? [inSixDigits(range[0]), inSixDigits(range[1])] : null);
  const plotOf = ({ title, values, limits, axis }: Plot): PlotData => {
    const [least, most, rms] = [values.least, values.most, values.rms].map(inSixDigits) as [number, number, number];
    const known = histograms.get(values) ?? ([histograms.size, [least, most, rms, values.counts]] as const);
    histograms.set(values, known);
    return [title, known[0], rangeOf(limits), rangeOf(axis)];
  };
  const data = groups.map((group, g): GroupData => {
    const members = group.nodes.map((node) => nodes[node] as PictureNode);
    const ofNodes = members.map(({ state }) => state);
    const marked = finding === undefined ? 0 : ofNodes.filter((state) => state !== neutral).length;
    const bytes = members.reduce((sum, node) => sum + node.bytes, 0);
    const summary = [
      plural(members.length, 'node'),
      ...(bytes > 0 ? [`${size(bytes)} of weights`] : []),
      ...(marked > 0 ? [plural(marked, finding as string)] : []),
    ].join(' · ');
    const mark = layers?.get(group.prefix) ?? null;
    const common = { title: group.title, short: shortTitle(group.title), summary, mark, marked, states: ofNodes };
    if (!drawn.has(g)) return { ...common, layout: null, nodes: [], ports: [] };
    const { request, ports } = requestOf(nodes, group, g, { groups, groupOf, readers });
    const texts = members.map(
      ({ op, name, type, details, plots }): NodeData => [
        op,
        labelOf(name, group.prefix),
        name,
        type,
        details,
        plots.map(plotOf),
      ],
    );
    return { ...common, layout: placeOf(request), nodes: texts, ports };
  });
  const symbols = Object.fromEntries(Object.entries(states).map(([state, { symbol }]) => [state, symbol]));
  const drawnHistograms = [...histograms.values()].map(([, histogram]) => histogram);
  return { symbols, groups: data, layouts, histograms: drawnHistograms, links: linksOf(nodes, groupOf) };
}

/** More digits than a panel shows, and a third of those that f64 prints. */
function inSixDigits(value: number): number {
  return Number(value.toPrecision(6));
}

/** Most groups that a link may lead to: what more read is no way through the graph but something that all look at. */
const MOST_READERS = 3;

function linksOf(nodes: readonly PictureNode[], groupOf: ReadonlyMap<number, number>): PictureData['links'] {
  const byTarget = new Map<string, { readonly from: number; readonly to: number; readonly states: Set<EdgeState> }>();
  const targets = new Map<number, Set<number>>();
  for (const [i, { inputs }] of nodes.entries()) {
    const to = groupOf.get(i) as number;
    for (const { node, state } of inputs) {
      const from = groupOf.get(node) as number;
      if (from === to) continue;
      const link = byTarget.get(`${from} ${to}`) ?? { from, to, states: new Set<EdgeState>() };
      byTarget.set(`${from} ${to}`, link);
      link.states.add(state);
      targets.set(from, (targets.get(from) ?? new Set()).add(to));
    }
  }
  return [...byTarget.values()]
    .filter(({ from, to }) => to === from + 1 || (targets.get(from)?.size ?? 0) <= MOST_READERS)
    .map(({ from, to, states }) => [from, to, states.size === 1 ? ([...states][0] as EdgeState) : 'same'] as const);
}

/** Chooses the groups to draw where there are too many nodes for all: those with marks first. */
function choose(groups: readonly NodeGroup[], isMarked: (node: number) => boolean): Set<number> {
  const order = [...groups.keys()].sort(
    (a, b) => Number(groups[b]?.nodes.some(isMarked)) - Number(groups[a]?.nodes.some(isMarked)) || a - b,
  );
  const drawn = new Set<number>();
  let left = MOST_DRAWN_NODES;
  for (const g of order) {
    const count = groups[g]?.nodes.length ?? 0;
    if (count > left) continue;
    left -= count;
    drawn.add(g);
  }
  return drawn;
}

function readersOf(nodes: readonly PictureNode[]): readonly (readonly number[])[] {
  const readers = nodes.map((): number[] => []);
  for (const [i, { inputs }] of nodes.entries()) for (const { node } of inputs) readers[node]?.push(i);
  return readers;
}

interface Surroundings {
  readonly groups: readonly NodeGroup[];
  readonly groupOf: ReadonlyMap<number, number>;
  readonly readers: readonly (readonly number[])[];
}

const PORT_WIDTH = 200;

/** Collects boxes and edges of a group; values from and to other groups have boxes of their own. */
function requestOf(nodes: readonly PictureNode[], group: NodeGroup, g: number, around: Surroundings) {
  const at = new Map(group.nodes.map((node, i) => [node, i]));
  const widths = group.nodes.map((node) => widthOf(nodes[node] as PictureNode, group.prefix));
  const edges: Parameters<typeof layOut>[0]['edges'][number][] = [];
  const ports: [string, string][] = [];
  const entries = new Map<number, number>();
  const addPort = (label: string, name: string) => {
    widths.push(PORT_WIDTH);
    return group.nodes.length + ports.push([label, name]) - 1;
  };
  for (const [to, node] of group.nodes.entries()) {
    for (const { node: input, state } of nodes[node]?.inputs ?? []) {
      let from = at.get(input) ?? entries.get(input);
      if (from === undefined) {
        const source = around.groups[around.groupOf.get(input) ?? -1];
        const name = nodes[input]?.name ?? '';
        from = addPort(`from ${labelOf(name, source?.prefix ?? '')}`, `${name}, in ${source?.title}`);
        entries.set(input, from);
      }
      edges.push({ from, to, state });
    }
  }
  for (const [from, node] of group.nodes.entries()) {
    const targets = new Set((around.readers[node] ?? []).map((reader) => around.groupOf.get(reader) as number));
    targets.delete(g);
    if (targets.size === 0) continue;
    const titles = [...targets].map((target) => around.groups[target]?.title ?? '');
    const label = titles.length === 1 ? `to ${shortTitle(titles[0] as string)}` : `to ${titles.length} other boxes`;
    edges.push({ from, to: addPort(label, `read in ${titles.join(', ')}`), state: 'same' });
  }
  return { request: { widths, edges }, ports };
}

/** Short form of a title: `layer.3` of `mobilebert.encoder.layer.3`. */
function shortTitle(title: string): string {
  return /[^./]+[._/]\d+(?: of a)?$/.exec(title)?.[0] ?? title;
}

/** Name of a node without the layer's, which the box around it tells. */
function labelOf(name: string, prefix: string): string {
  return prefix !== '' && name.startsWith(prefix) && name.length > prefix.length + 1
    ? name.slice(prefix.length + 1)
    : name;
}

const [LEAST_WIDTH, MOST_WIDTH] = [104, 212];

/** Width of a box of 11 px monospace letters, rounded so that layers whose names are alike are laid out once. */
function widthOf({ op, name }: PictureNode, prefix: string): number {
  const letters = Math.max(op.length * 1.1, labelOf(name, prefix).length);
  return Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, 12 * Math.ceil((letters * 6.7 + 18) / 12)));
}
