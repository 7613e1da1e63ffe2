import type { PassTime } from '../observers/pass-times.ts';
import { table } from './text.ts';

/** What each pass took, in the order in which they ran. */
export function passTimesText(times: readonly PassTime[]): string {
  const total = times.reduce((sum, { timeMs }) => sum + timeMs, 0);
  const rows = times.map(({ pass, format, timeMs, rewrites }) => [
    format === undefined ? pass : `${format}: ${pass}`,
    timeMs.toFixed(2),
    String(rewrites),
  ]);
  return table([['pass', 'ms', 'rewrites'], ...rows, ['all passes', total.toFixed(2), '']]);
}
