import type { Difference, ValueError } from '../diff/difference.ts';
import { layerOf } from '../ir/names.ts';
import type { ModelDiff, SideSummary } from '../pipelines/diff/diff-models.ts';
import { choicesHeading } from './agreement.ts';
import { groupDifferences } from './diff-groups.ts';
import { KIND_TITLES, verdictText } from './diff-text.ts';
import { differenceText, number, percent } from './diff-words.ts';
import { chart } from './html/charts.ts';
import { layerLabels, sizeComparison } from './html/layer-charts.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, type Place, pageHtml, type Tile, tiles } from './html/page.ts';
import { picture } from './html/picture.ts';
import { DIFF_STATES, diffNodes, type NodeMark } from './html/picture-nodes.ts';
import { type Cell, MOST_ROWS, numberCell, sortableTable } from './html/tables.ts';
import { decibels } from './numbers.ts';
import { plural, size } from './text.ts';

/** Makes a page of a comparison. Without `all` it lists as many differences as a browser shows at once. */
export function diffHtml(diff: ModelDiff, all: boolean, place?: Place): string {
  const { a, b, outline } = diff;
  return pageHtml({
    title: 'Model diff',
    lead: html`${code(a.path)} → ${code(b.path)}`,
    place,
    verdict: { isGood: diff.same, text: verdictText(diff) },
    sections: [
      { title: 'Summary', body: html`${tiles(tilesOf(diff))}${sidesTable(a, b)}` },
      { title: 'Differences', body: differencesTable(diff, all) },
      {
        title: 'Graph',
        body: outline
          ? picture(diffNodes(outline, diff.differences.map(markOf)), { states: DIFF_STATES, finding: 'change' })
          : NOTHING,
      },
      {
        title: 'Weights',
        body: charts([weightChart(diff.differences), outline ? sizeComparison(outline.a, outline.b) : NOTHING]),
      },
      { title: 'Outputs', body: numericTable(diff) },
      { title: 'Operations', body: opsTable(a, b) },
    ],
  });
}

function tilesOf({ a, b, counts, paired, renamed, constants, level }: ModelDiff): Tile[] {
  const kinds = (['structure', 'weights', 'quant', 'metadata', 'numeric'] as const)
    .filter((kind) => counts[kind] > 0 || kind === 'structure' || kind === 'weights')
    .map(
      (kind): Tile => ({
        label: KIND_TITLES[kind],
        value: String(counts[kind]),
        note: counts[kind] === 1 ? 'difference' : 'differences',
        ...(counts[kind] > 0 && { tone: 'bad' as const }),
      }),
    );
  const delta = b.weightBytes - a.weightBytes;
  return [
    ...kinds,
    {
      label: 'nodes in both',
      value: String(paired),
      note: renamed === 0 ? `level ${level}` : `${renamed} renamed, level ${level}`,
    },
    { label: 'equal tensors', value: String(constants.equal), note: `of ${constants.compared}` },
    {
      label: 'weights',
      value: size(b.weightBytes),
      note: delta === 0 ? 'in both' : `${delta < 0 ? '−' : '+'}${size(Math.abs(delta))} against a`,
    },
  ];
}

function sidesTable(a: SideSummary, b: SideSummary): Markup {
  const row = (name: string, { path, format, nodes, weightBytes, fileBytes }: SideSummary): Cell[] => [
    name,
    code(path),
    format,
    numberCell(nodes, String),
    numberCell(weightBytes, size),
    numberCell(fileBytes, size),
  ];
  return sortableTable({
    caption: 'The two models',
    headings: ['', 'model', 'format', 'nodes', 'weights', 'file'],
    rows: [row('a', a), row('b', b)],
  });
}

/** Table of differences; as in a terminal, those that are alike are one row. */
function differencesTable({ differences }: ModelDiff, all: boolean): Markup {
  if (differences.length === 0) return html`<p>None.</p>`;
  const groups = groupDifferences(differences);
  const shown = all ? groups : groups.slice(0, MOST_ROWS);
  const errors = shown.map(({ first }) => ('error' in first ? first.error : null));
  const columns = ERROR_COLUMNS.filter(({ of }) => errors.some((error) => error && of(error) !== null));
  return sortableTable({
    caption: 'Differences',
    headings: ['kind', 'what', 'places', ...columns.map(({ heading }) => heading)],
    rows: shown.map(({ first, others }, i) => [
      html`<span class="kind s-${STATES[first.kind]}">${KIND_TITLES[first.kind]}</span>`,
      html`${differenceText(first)}${othersList(others, all)}`,
      numberCell(groups.some((group) => group.others.length > 0) ? 1 + others.length : null, String),
      ...columns.map(({ of, text }) => numberCell(errors[i] && of(errors[i]), text)),
    ]),
    total: groups.length,
  });
}

const ERROR_COLUMNS: readonly {
  readonly heading: string;
  of(error: ValueError): number | null;
  text(value: number): string;
}[] = [
  { heading: 'max error', of: ({ maxAbs }) => maxAbs, text: number },
  { heading: 'relative', of: ({ relative }) => relative, text: percent },
  { heading: 'SQNR', of: ({ sqnrDb }) => sqnrDb, text: decibels },
];

/** Most other places that are listed without `all`: names of layers are alike. */
const MOST_OTHERS = 100;

function othersList(others: readonly string[], all: boolean): Markup | null {
  if (others.length === 0) return null;
  const shown = all ? others : others.slice(0, MOST_OTHERS);
  const rest = others.length - shown.length;
  return html`<details><summary>the same in ${others.length} more</summary><ul>${shown.map((place) => html`<li>${code(place)}</li>`)}${
    rest > 0 ? html`<li>and ${rest} more</li>` : null
  }</ul></details>`;
}

const STATES = {
  structure: 'structure',
  weights: 'weights',
  quant: 'quant',
  numeric: 'numeric',
  metadata: 'same',
  size: 'same',
} as const;

function markOf(difference: Difference): NodeMark {
  return { state: STATES[difference.kind], text: differenceText(difference) };
}

/** Chart of the largest relative error of each layer's weights: where two models part. */
function weightChart(differences: readonly Difference[]): Markup {
  const byLayer = new Map<string, number>();
  for (const difference of differences) {
    if (!('tensor' in difference) || !difference.error?.sqnrDb) continue;
    const layer = layerOf(difference.tensor.b) ?? 'others';
    byLayer.set(layer, Math.min(byLayer.get(layer) ?? Number.POSITIVE_INFINITY, difference.error.sqnrDb));
  }
  // One point is in the table already.
  if (byLayer.size < 2) return NOTHING;
  const layers = [...byLayer].sort(([x], [y]) => x.localeCompare(y, 'en', { numeric: true }));
  return chart({
    title: 'Changed weights by layer',
    note: 'The lowest SQNR of a tensor of the layer, 10·log₁₀(Σa² / Σ(a − b)²). Layers that are not here have no changed values.',
    xTitle: 'layer',
    labels: layerLabels(layers.map(([layer]) => layer)),
    yTitle: 'SQNR (dB)',
    kind: 'lines',
    series: [{ name: 'lowest SQNR', values: layers.map(([, sqnrDb]) => sqnrDb), state: 'weights' }],
  });
}

function numericTable({ numeric }: ModelDiff): Markup {
  if (numeric === null) return NOTHING;
  const table = sortableTable({
    caption: 'Outputs',
    headings: [
      'output',
      '',
      'max error',
      'limit',
      'SQNR',
      `${choicesHeading(numeric.outputs.map(({ difference }) => difference))} equal`,
    ],
    rows: numeric.outputs.map(({ isWithin, difference: { output, maxAbsError, limit, sqnrDb, agreement } }) => [
      code(output.a),
      isWithin ? 'same' : 'differs',
      numberCell(maxAbsError, number),
      numberCell(limit, number),
      numberCell(sqnrDb, decibels),
      numberCell(agreement, percent),
    ]),
  });
  return html`<p class="note">${plural(numeric.sequences, 'sequence')} in ${numeric.a} and ${numeric.b}</p>${table}`;
}

function opsTable(a: SideSummary, b: SideSummary): Markup {
  const ops = [...new Set([...Object.keys(a.ops), ...Object.keys(b.ops)])];
  const change = (op: string) => Math.abs((b.ops[op] ?? 0) - (a.ops[op] ?? 0));
  const isChanged = ops.some((op) => change(op) > 0);
  const table = sortableTable({
    caption: 'Operations',
    headings: ['op', 'in a', 'in b', 'change'],
    rows: ops
      .toSorted((x, y) => change(y) - change(x))
      .map((op) => {
        const [inA, inB] = [a.ops[op] ?? 0, b.ops[op] ?? 0];
        return [
          code(op),
          numberCell(inA, String),
          numberCell(inB, String),
          numberCell(inB - inA, (delta) => (delta === 0 ? '0' : `${delta > 0 ? '+' : '−'}${Math.abs(delta)}`)),
        ];
      }),
  });
  return isChanged
    ? table
    : html`<details><summary>${plural(ops.length, 'kind')}, as many of each in both</summary>${table}</details>`;
}
