import type { CurvePoint } from '../pipelines/training/types.ts';
import { chart } from './html/charts.ts';
import type { Markup } from './html/markup.ts';
import { plural } from './text.ts';

/** Charts of a student on held-out texts by steps; none where it was measured once or not at all. */
export function curveCharts(curve: readonly CurvePoint[], samples: number): Markup[] {
  if (curve.length < 2) return [];
  const plot = (title: string, yTitle: string, of: (point: CurvePoint) => number) =>
    chart({
      title,
      note: `On ${plural(samples, 'held-out text')}, single and joined.`,
      xTitle: 'step',
      labels: curve.map(({ step }) => String(step)),
      yTitle,
      kind: 'lines',
      // Infinite where all answers are equal.
      series: [{ name: 'student', values: curve.map((point) => (Number.isFinite(of(point)) ? of(point) : null)) }],
    });
  return [
    plot('Answers against the teacher', 'SQNR (dB)', ({ sqnrDb }) => sqnrDb),
    plot('Equal answers', 'agreement (%)', ({ agreement }) => 100 * agreement),
  ];
}
