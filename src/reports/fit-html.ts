import type { LayerLosses } from '../pipelines/evaluate/transfer.ts';
import type { FitReport, FitRow, Transfer } from '../pipelines/fit/types.ts';
import { agreementHeading, agreementTile } from './agreement.ts';
import { distillationText, pruningLines } from './fit.ts';
import { chart } from './html/charts.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, type Tile, tiles } from './html/page.ts';
import { scatter } from './html/scatter.ts';
import { decibels, percents } from './numbers.ts';
import { plural } from './text.ts';
import { curveCharts } from './training-curve.ts';

/** Shows what passes changed that change the function, what it costs and what it brings. */
export function fitBody(report: FitReport): Markup {
  const { passes, refitted, pruning, distillation, calibration, transfer, pareto, kept } = report;
  const counts = passes.map(({ name, rewrites }) => `${name} ${rewrites}`);
  if (refitted > 0) counts.push(`${plural(refitted, 'linear')} fitted anew`);
  const text = calibration
    ? html`, to ${plural(calibration.count, 'text')} of ${code(calibration.source)}`
    : html`, to no text`;
  const names = kept.length > 0 ? html`<p class="note">Kept as they are: ${kept.join(', ')}.</p>` : NOTHING;
  const trained = distillation ? html`<p class="note">Trained: ${distillationText(distillation)}.</p>` : NOTHING;
  const left = pruning ? html`<p class="note">${pruningLines(pruning).join('; ')}.</p>` : NOTHING;
  return html`<p class="note">${counts.join(', ')}${text}.</p>${left}${trained}${tiles(tilesOf(report))}${names}${charts(
    [
      ...(transfer ? transferCharts(transfer) : []),
      ...(distillation ? curveCharts(distillation.curve, distillation.trial?.samples ?? 0) : []),
      pareto ? paretoChart(pareto) : NOTHING,
    ],
  )}`;
}

function tilesOf({ heldOut, operations }: FitReport): Tile[] {
  const list: Tile[] = [];
  if (heldOut) {
    const { samples, sqnrDb, accuracy } = heldOut;
    const label = `${agreementHeading([heldOut])} with the original`;
    list.push(agreementTile(label, heldOut, plural(samples, 'held-out text')));
    list.push({ label: 'SQNR', value: decibels(sqnrDb) });
    if (accuracy) {
      list.push({
        label: 'accuracy',
        value: percents(accuracy.changed),
        note: `original: ${percents(accuracy.original)}`,
      });
    }
  }
  for (const { target, sequence, speedup } of operations) {
    list.push({
      label: `speed, ${target}`,
      value: `${speedup.toFixed(2)} ×`,
      note: `by counting operations, ${sequence} tokens`,
    });
  }
  return list;
}

/** Charts of MobileBERT's losses of knowledge transfer, with parameters copied and as fitted. */
function transferCharts({ before, after }: Transfer): Markup[] {
  const plot = (title: string, note: string, yTitle: string, lossOf: (layer: LayerLosses) => number) =>
    chart({
      title,
      note: `${note} On ${plural(after.samples, 'held-out text')}.`,
      xTitle: 'layer',
      labels: after.layers.map(({ student }) => String(student)),
      yTitle,
      kind: 'lines',
      scale: 'log',
      series: [
        { name: 'copied', losses: before },
        { name: 'fitted', losses: after },
      ].map(({ name, losses }) => ({
        name,
        values: losses.layers.map((layer) => {
          const loss = lossOf(layer);
          return loss > 0 ? loss : null;
        }),
      })),
    });
  return [
    plot(
      'Feature maps against the original',
      'Mean squared distance of hidden states, in proportion to their mean square.',
      'MSE / power (log)',
      ({ featureMapMse, featureMapPower }) => featureMapMse / featureMapPower,
    ),
    plot(
      'Attention against the original',
      'KL(original ‖ fitted), mean of the heads.',
      'KL (nats, log)',
      ({ attentionKl }) => attentionKl.reduce((sum, value) => sum + value, 0) / attentionKl.length,
    ),
  ];
}

function paretoChart(rows: readonly FitRow[]): Markup {
  return scatter({
    title: 'Norms and activations kept',
    note: 'What keeping more of them costs and brings; the ring is what was chosen.',
    x: { title: 'times the speed', of: ({ speedup }) => speedup },
    y: { title: agreementHeading(rows.map(({ heldOut }) => heldOut)), of: ({ heldOut }) => heldOut.agreement },
    points: rows,
    labelOf: ({ kept }) => String(kept),
    isChosen: ({ chosen }) => chosen,
    more: [
      { title: 'norms kept', of: ({ norms }) => norms, text: String },
      { title: 'activations kept', of: ({ activations }) => activations, text: String },
      { title: 'SQNR', of: ({ heldOut }) => heldOut.sqnrDb, text: decibels },
    ],
  });
}
