import type { ModelDescription } from '../pipelines/inspect/describe.ts';
import type { InspectResult } from '../pipelines/inspect/inspect.ts';
import { sizeChart, weightRangeChart } from './html/layer-charts.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, type Place, pageHtml, type Tile, tiles, warningsList } from './html/page.ts';
import { picture } from './html/picture.ts';
import { STORAGE_STATES, storageNodes } from './html/picture-nodes.ts';
import { numberCell, sortableTable } from './html/tables.ts';
import { modelTitle } from './inspect.ts';
import { digits } from './numbers.ts';
import { size } from './text.ts';

/** Makes a page of a model's graph and weights. */
export function inspectHtml(
  {
    source,
    summary,
    model,
    outline,
    warnings,
  }: Pick<InspectResult, 'source' | 'summary' | 'outline' | 'warnings'> & {
    readonly model: Pick<ModelDescription, 'stored' | 'facts'>;
  },
  place?: Place,
): string {
  const { parameters, ops, inputs, outputs } = summary;
  const nodes = Object.values(ops).reduce((sum, count) => sum + count, 0);
  return pageHtml({
    title: modelTitle(summary, model.facts),
    lead: code(source),
    place,
    sections: [
      {
        title: 'Summary',
        body: html`${tiles([
          { label: 'parameters', value: `${(parameters / 1e6).toFixed(2)} M` },
          storedTile(model.stored),
          { label: 'nodes', value: String(nodes), note: `${Object.keys(ops).length} kinds` },
          { label: 'inputs', value: String(inputs.length), note: inputs.join(', ') },
          { label: 'outputs', value: String(outputs.length), note: outputs.join(', ') },
        ])}${warningsList(warnings)}`,
      },
      {
        title: 'Graph',
        body: outline ? picture(storageNodes(outline), { states: STORAGE_STATES }) : NOTHING,
      },
      {
        title: 'Layers',
        body: outline ? charts([sizeChart(outline), weightRangeChart([{ name: 'weights', outline }])]) : NOTHING,
      },
      { title: 'Weights', body: outline ? weightsTable(outline) : NOTHING },
      {
        title: 'Operations',
        body: sortableTable({
          caption: 'Operations',
          headings: ['op', 'nodes'],
          rows: Object.entries(ops).map(([op, count]) => [code(op), numberCell(count, String)]),
        }),
      },
    ],
  });
}

/** Size of the weights as they are stored: a graph that was opened to run has floats in the place of integers. */
function storedTile(stored: ModelDescription['stored']): Tile {
  const bytes = stored.reduce((sum, each) => sum + each.bytes, 0);
  return { label: 'weights', value: size(bytes), note: stored.map(({ storage }) => storage).join(', ') };
}

/** Table of weights, the largest first. */
export function weightsTable({ weights }: NonNullable<InspectResult['outline']>): Markup {
  const rows = weights.toSorted((a, b) => b.bytes - a.bytes);
  return sortableTable({
    caption: 'Weights',
    headings: ['name', 'type', 'stored as', 'size', 'least', 'largest'],
    rows: rows.map(({ name, type, storage, bytes, values }) => [
      code(name),
      type,
      storage,
      numberCell(bytes, size),
      numberCell(values?.least, digits),
      numberCell(values?.most, digits),
    ]),
  });
}
