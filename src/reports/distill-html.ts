import type { DistillResult } from '../pipelines/distill/types.ts';
import type { HeldOut } from '../pipelines/fit/types.ts';
import type { CurvePoint } from '../pipelines/training/types.ts';
import { chart } from './html/charts.ts';
import { html, type Markup, NOTHING } from './html/markup.ts';
import { charts, code, pageHtml, type Tile, tiles, warningsList } from './html/page.ts';
import { decibels, percents } from './numbers.ts';
import { plural } from './text.ts';

/** Makes a page of a training: what the student is worth, and the curve of what it gained. */
export function distillHtml(result: DistillResult): string {
  const { student, teacher, stages, watched, strategy, texts, batch, steps } = result;
  const parts = stages.map(({ name, steps: count }) => `${name} ${count}`).join(', ');
  return pageHtml({
    title: 'Student and teacher',
    lead: html`${code(student)} taught by ${code(teacher)}`,
    sections: [
      {
        title: 'Summary',
        body: html`${tiles(tilesOf(result))}<p class="note">${plural(steps, 'step')} of ${batch} texts drawn from ${texts}, ${strategy}: ${parts}.</p>`,
      },
      { title: 'Training', body: curveCharts(watched) },
      { title: 'Warnings', body: warningsList(result.warnings) },
    ],
  });
}

/** Charts of a student on held-out texts by steps. */
export function curveCharts({ samples, curve }: DistillResult['watched']): Markup {
  if (curve.length < 2) return NOTHING;
  const plot = (title: string, yTitle: string, of: (point: CurvePoint) => number) =>
    chart({
      title,
      note: `On ${plural(samples, 'held-out text')}, single and joined.`,
      xTitle: 'step',
      labels: curve.map(({ step }) => String(step)),
      yTitle,
      kind: 'lines',
      series: [{ name: 'student', values: curve.map(of) }],
    });
  return charts([
    plot('Answers against the teacher', 'SQNR (dB)', ({ sqnrDb }) => sqnrDb),
    plot('Equal answers', 'agreement (%)', ({ agreement }) => 100 * agreement),
  ]);
}

function tilesOf({ before, after }: DistillResult): Tile[] {
  const tile = (
    label: string,
    now: HeldOut | undefined,
    was: HeldOut | undefined,
    of: (value: HeldOut) => string,
  ): Tile[] => (now ? [{ label, value: of(now), ...(was && { note: `before: ${of(was)}` }) }] : []);
  return [
    ...tile('agreement with the teacher', after, before, ({ agreement }) => percents(agreement)),
    ...tile('SQNR', after, before, ({ sqnrDb }) => decibels(sqnrDb)),
    ...(after?.accuracy
      ? [
          {
            label: 'accuracy',
            value: percents(after.accuracy.changed),
            note: `teacher: ${percents(after.accuracy.original)}`,
          },
        ]
      : []),
  ];
}
