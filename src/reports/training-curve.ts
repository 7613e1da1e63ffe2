import { AGREEMENT_NAMES } from '../pipelines/evaluate/agreement.ts';
import type { CurvePoint } from '../pipelines/training/types.ts';
import { agreementHeading } from './agreement.ts';
import { chart } from './html/charts.ts';
import type { Markup } from './html/markup.ts';
import { plural } from './text.ts';

/** Charts of a student on held-out texts by steps; none where it was measured once or not at all. */
export function curveCharts(curve: readonly CurvePoint[], samples: number): Markup[] {
  const [first, second] = curve;
  if (first === undefined || second === undefined) return [];
  const name = AGREEMENT_NAMES[first.agreementOf];
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const plot = (heading: string, yTitle: string, of: (point: CurvePoint) => number) =>
    chart({
      title: heading,
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
    first.agreementOf === 'correlation'
      ? plot(title, name, ({ agreement }) => agreement)
      : plot(title, `${agreementHeading(curve)} (%)`, ({ agreement }) => 100 * agreement),
  ];
}
