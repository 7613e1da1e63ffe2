import type { DistillResult } from '../pipelines/distill/types.ts';
import type { HeldOut } from '../pipelines/fit/types.ts';
import { agreementHeading, agreementValue } from './agreement.ts';
import { html } from './html/markup.ts';
import { charts, code, pageHtml, type Tile, tiles, warningsList } from './html/page.ts';
import { decibels, percents } from './numbers.ts';
import { plural } from './text.ts';
import { curveCharts } from './training-curve.ts';

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
      { title: 'Training', body: charts(curveCharts(watched.curve, watched.samples)) },
      { title: 'Warnings', body: warningsList(result.warnings) },
    ],
  });
}

function tilesOf({ before, after }: DistillResult): Tile[] {
  const tile = (
    label: string,
    now: HeldOut | undefined,
    was: HeldOut | undefined,
    of: (value: HeldOut) => string,
  ): Tile[] => (now ? [{ label, value: of(now), ...(was && { note: `before: ${of(was)}` }) }] : []);
  return [
    ...(after ? tile(`${agreementHeading([after])} with the teacher`, after, before, agreementValue) : []),
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
