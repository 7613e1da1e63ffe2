import type { LayerMappings } from '../pipelines/map-layers/types.ts';
import { percents } from './numbers.ts';
import { plural, table } from './text.ts';

/** Prints the chosen map layer by layer, and what the other ways to map would give. */
export function mapLayersText(result: LayerMappings): string {
  const { method, fitness, mappings, functionErrors, errors, alignments, calibration, search } = result;
  const { map = [] } = mappings.find((each) => each.method === method) ?? {};
  const layers = map.map((teacher, student) => {
    const [does, error, alignment] = [functionErrors, errors, alignments].map((rows) => rows?.[student]?.[teacher]);
    return [String(student), String(teacher), shareOf(does), shareOf(error), alignment?.toFixed(3) ?? ''];
  });
  const ways = mappings.map((each) => [
    each.method,
    each.map.join(' '),
    shareOf(each.functionError),
    shareOf(each.error),
    each.alignment.toFixed(3),
    each.method === method ? 'chosen' : '',
  ]);
  const searched = search
    ? [
        '',
        search.fitness === 'distill'
          ? `searched: ${plural(search.scored, 'map')} distilled; the best leaves ${percents(search.score)} noise in the answers`
          : `searched: ${plural(search.scored, 'map')} by their ${search.fitness}`,
      ]
    : [];
  const text = calibration ? ` on ${plural(calibration.count, 'text')} of ${calibration.source}` : '';
  return [
    table([['student', 'teacher', 'function', 'error', 'alignment'], ...layers]),
    '',
    `means${text}:`,
    table([['method', 'layers', 'function', 'error', 'alignment', ''], ...ways]),
    '',
    ...legend(fitness),
    ...searched,
  ].join('\n');
}

function legend(fitness: LayerMappings['fitness']): string[] {
  return [
    fitness === 'function'
      ? 'function   how far apart is what the two layers add to the same values: 0 % for one function, 100 % for unlike ones'
      : 'function   not compared: best makes the error small',
    "error      of the teacher's values as linears of the student's",
    'alignment  of the two values: 1 where one is a rotation of the other',
  ];
}

function shareOf(value: number | null | undefined): string {
  return typeof value === 'number' ? percents(value) : '';
}
