import type { GraphOutline, OutlineWeight } from '../../opened/outline.ts';
import { byteUnit } from '../numbers.ts';
import { chart } from './charts.ts';
import { groupNodes, type NodeGroup } from './layers.ts';
import type { Markup } from './markup.ts';

/** Chart of the bytes that weights take in each layer, by how they are stored. */
export function sizeChart(outline: GraphOutline, title = 'Size by layer'): Markup {
  const groups = groupNodes(outline.nodes);
  const byGroup = weightsByGroup(outline, groups);
  const storages = new Map<string, number>();
  for (const { storage, bytes } of byGroup.flat()) storages.set(storage, (storages.get(storage) ?? 0) + bytes);
  const names = [...storages].sort(([, a], [, b]) => b - a).map(([storage]) => storage);
  const sums = byGroup.map((weights) => weights.reduce((sum, { bytes }) => sum + bytes, 0));
  const unit = byteUnit(Math.max(0, ...sums));
  return chart({
    title,
    note: 'Bytes of all weights as stored; one that several layers read counts in the first.',
    xTitle: 'layer',
    labels: layerLabels(groups.map(({ title: name }) => name)),
    yTitle: `weights (${unit.name})`,
    kind: 'bars',
    series: names.map((storage) => ({
      name: storage,
      values: byGroup.map((weights) =>
        weights.reduce((sum, weight) => sum + (weight.storage === storage ? weight.bytes / unit.size : 0), 0),
      ),
    })),
  });
}

/** Chart of the sizes of both sides beside each other: layers by name. */
export function sizeComparison(a: GraphOutline, b: GraphOutline): Markup {
  const [ofA, ofB] = [sizesByTitle(a), sizesByTitle(b)];
  const titles = [...new Set([...ofA.keys(), ...ofB.keys()])];
  // What only a has stands where it does in a, not behind everything.
  const places = new Map([...ofA.keys()].map((title, i) => [title, i]));
  const ordered = titles.toSorted((x, y) => (places.get(x) ?? titles.length) - (places.get(y) ?? titles.length));
  const changed = ordered.some((title) => ofA.get(title) !== ofB.get(title));
  const unit = byteUnit(Math.max(...ofA.values(), ...ofB.values()));
  const values = (sizes: ReadonlyMap<string, number>) => ordered.map((title) => (sizes.get(title) ?? 0) / unit.size);
  return chart({
    title: 'Size by layer',
    note: changed
      ? 'Bytes of the weights that each layer is the first to read.'
      : 'Every layer has the same size in both.',
    xTitle: 'layer',
    labels: layerLabels(ordered),
    yTitle: `weights (${unit.name})`,
    kind: changed ? 'ranges' : 'bars',
    series: (changed ? [ofA, ofB] : [ofA]).map((sizes, i) => ({
      name: changed ? (i === 0 ? 'a' : 'b') : 'both',
      values: values(sizes),
    })),
  });
}

function sizesByTitle(outline: GraphOutline): Map<string, number> {
  const groups = groupNodes(outline.nodes);
  const weights = weightsByGroup(outline, groups);
  return new Map(groups.map(({ title }, i) => [title, (weights[i] ?? []).reduce((sum, { bytes }) => sum + bytes, 0)]));
}

/** Chart of the least and largest weight of each layer's matrices, in one graph or in several of the same layers. */
export function weightRangeChart(graphs: readonly { readonly name: string; readonly outline: GraphOutline }[]): Markup {
  const ranges = graphs.map(({ outline }) => rangesByTitle(outline));
  const titles = [...new Set(ranges.flatMap((byTitle) => [...byTitle.keys()]))];
  return chart({
    title: 'Weight ranges by layer',
    note: 'From the least to the largest value of all matrices of a layer, as real numbers. Tables of embeddings are left out.',
    xTitle: 'layer',
    labels: layerLabels(titles),
    yTitle: 'weight value',
    kind: 'ranges',
    series: graphs.map(({ name }, i) => ({
      name,
      from: titles.map((title) => ranges[i]?.get(title)?.[0] ?? null),
      values: titles.map((title) => ranges[i]?.get(title)?.[1] ?? null),
    })),
  });
}

function rangesByTitle(outline: GraphOutline): Map<string, readonly [number, number]> {
  const groups = groupNodes(outline.nodes);
  const readByGather = outline.nodes.flatMap(({ op, weights }) => (op === 'gather' ? weights : []));
  const tables = new Set(readByGather.map((place) => outline.weights[place]));
  const byTitle = new Map<string, readonly [number, number]>();
  for (const [i, weights] of weightsByGroup(outline, groups).entries()) {
    const ranges = weights
      .filter((weight) => weight.type.includes(',') && !tables.has(weight))
      .flatMap(({ values }) => (values ? [values] : []));
    if (ranges.length === 0) continue;
    byTitle.set(groups[i]?.title ?? '', [
      Math.min(...ranges.map(({ least }) => least)),
      Math.max(...ranges.map(({ most }) => most)),
    ]);
  }
  return byTitle;
}

/** Weights of each group, one of several readers in the group that reads it first. */
function weightsByGroup({ nodes, weights }: GraphOutline, groups: readonly NodeGroup[]): OutlineWeight[][] {
  const owned = new Set<number>();
  return groups.map((group) => {
    const own: OutlineWeight[] = [];
    for (const node of group.nodes) {
      for (const place of nodes[node]?.weights ?? []) {
        if (owned.has(place)) continue;
        owned.add(place);
        own.push(weights[place] as OutlineWeight);
      }
    }
    return own;
  });
}

/** Labels of groups on an axis: `3` for `encoder.layer.3`, a short word for what is no layer. */
export function layerLabels(titles: readonly string[]): string[] {
  return titles.map((title) => {
    if (title === 'inputs and embeddings') return 'emb';
    return (
      /[._/](\d+)$/.exec(title)?.[1] ??
      title.replace(/^.*[._/](\d+) of a$/, '$1 of a').replace(/^part (\d+) of.*/, '$1')
    );
  });
}
