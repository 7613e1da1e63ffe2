import type { LayerMappings } from '../pipelines/map-layers/types.ts';
import { percents } from './numbers.ts';
import { plural, table } from './text.ts';

/** Prints the chosen map layer by layer, and what the other ways to map would give. */
export function mapLayersText(result: LayerMappings): string {
  const { method, mappings, errors, alignments, calibration, search } = result;
  const { map = [] } = mappings.find((each) => each.method === method) ?? {};
  const layers = map.map((teacher, student) => {
    const [error, alignment] = [errors, alignments].map((rows) => rows[student]?.[teacher] as number) as [
      number,
      number,
    ];
    return [String(student), String(teacher), percents(error), alignment.toFixed(3)];
  });
  const ways = mappings.map((each) => [
    each.method,
    each.map.join(' '),
    percents(each.error),
    each.alignment.toFixed(3),
    each.method === method ? 'chosen' : '',
  ]);
  const searched = search
    ? [
        '',
        search.fitness === 'distill'
          ? `searched: ${plural(search.scored, 'map')} distilled; the best leaves ${percents(search.score)} noise in the answers`
          : `searched: ${plural(search.scored, 'map')} by their error`,
      ]
    : [];
  const text = calibration ? ` on ${plural(calibration.count, 'text')} of ${calibration.source}` : '';
  return [
    table([['student', 'teacher', 'error', 'alignment'], ...layers]),
    '',
    `mean error of the teacher's layers as linear functions of the student's, and mean alignment${text}:`,
    table([['method', 'layers', 'error', 'alignment', ''], ...ways]),
    ...searched,
  ].join('\n');
}
