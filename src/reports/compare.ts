import type { CompareResult } from '../pipelines/compare/compare.ts';
import { percents, sqnrText } from './numbers.ts';
import { filledColumns, plural, size, table } from './text.ts';
import { lossTitle } from './verify.ts';

/** Names of files where their folders are the same, else the paths. */
export function shortNames(paths: readonly string[]): string[] {
  const names = paths.map((path) => path.split(/[/\\]/).at(-1) ?? path);
  return new Set(names).size === names.length ? names : [...paths];
}

/** Prints a table of models, and which of them need not be looked at. */
export function compareText(result: CompareResult): string {
  const { rows, inputs, against, metric, measure, runs, threads, processor } = result;
  const names = shortNames(rows.map(({ model }) => model));
  const lost = `${lostTitle(result)} lost`;
  const lines = rows.map((row, i) => [
    names[i] as string,
    row.runtime,
    size(row.bytes),
    row.ms.toFixed(row.ms < 10 ? 2 : 1),
    row.speed.toFixed(2),
    sqnrText(row.sqnrDb),
    row.metric === null ? '' : percents(row.metric),
    row.lost.toFixed(2),
    row.changed === null ? '' : String(row.changed),
    row.failures.length > 0 ? 'FAILED' : row.isOnFront ? '*' : '',
  ]);
  const heading = ['model', 'runtime', 'size', `${measure} ms`, 'speed', 'SQNR', 'metric', lost, 'changed', 'best'];
  const what = inputs?.data
    ? `${plural(inputs.samples, 'sample')} of ${inputs.data}`
    : plural(inputs?.samples ?? 0, 'token sequence');
  return [
    `against ${against}${metric === null ? '' : ` (${percents(metric)})`}, on ${what}`,
    table(filledColumns(heading, lines)),
    [
      `medians of ${runs} interleaved runs, ${plural(threads, 'thread')}, ${processor}`,
      '* no other model of its format is as small, as fast and as good',
    ].join('\n'),
    ...(rows.some(({ failures }) => failures.length > 0)
      ? [rows.flatMap(({ model, failures }) => failures.map((failure) => `FAILED ${model}: ${failure}`)).join('\n')]
      : []),
  ].join('\n\n');
}

/** Name of what is lost. */
export function lostTitle({ lostOf }: CompareResult): string {
  return lossTitle({ of: lostOf, points: 0, limit: null });
}
