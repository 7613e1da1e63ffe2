import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MbertError } from '../errors.ts';
import { writeWhole } from '../io/files.ts';
import type { PassTime } from '../observers/pass-times.ts';
import { passTimesText } from '../reports/pass-times.ts';
import type { Io } from './io.ts';

/** Options for how a command prints its result, and where it writes the page. */
export interface ReportOptions<F extends string = 'text' | 'json' | 'html'> {
  readonly format: F;
  readonly json?: true;
  readonly report?: string;
}

/** Whether an HTML page is to be made. Throws USAGE for one that cannot be written. */
export function wantsPage(options: ReportOptions<string>): boolean {
  refuseReport(options);
  return options.report !== undefined || (options.format === 'html' && options.json === undefined);
}

/** Throws USAGE for a page that cannot be written, so that no long run ends with that. */
export function refuseReport({ report }: ReportOptions<string>): void {
  if (report === undefined) return;
  if (existsSync(report) && statSync(report).isDirectory()) {
    throw new MbertError('USAGE', `--report: ${report} is a folder`, { hint: 'name a file, as report.html' });
  }
  let parent = dirname(resolve(report));
  while (!existsSync(parent)) parent = dirname(parent);
  if (!statSync(parent).isDirectory()) throw new MbertError('USAGE', `--report: ${report}: ${parent} is not a folder`);
}

/** Writes the HTML page where one was asked for, and prints the result in the format that was asked for. */
export async function printResult<F extends string>(
  io: Io,
  { format, json, report }: ReportOptions<F>,
  forms: { readonly [K in F | 'json' | 'html']: () => string | Promise<string> },
): Promise<void> {
  if (report !== undefined) await writeWhole(report, new TextEncoder().encode(await forms.html()));
  const chosen = json ? 'json' : format;
  const text = await forms[chosen]();
  io.out(chosen === 'html' ? text : `${text}\n`);
}

/** Prints what each pass took, where that was asked for. */
export function printPassTimes(io: Io, { passTimes }: { readonly passTimes?: readonly PassTime[] }): void {
  if (passTimes !== undefined) io.err(`${passTimesText(passTimes)}\n`);
}
