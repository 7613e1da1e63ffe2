import type { ConvertedFile, ConvertResult } from '../pipelines/convert/convert.ts';
import type { WrittenVerification } from '../pipelines/convert/verify-written.ts';
import type { SpeedResult } from '../pipelines/evaluate/compare-speed.ts';
import { size } from '../printable.ts';
import { choicesHeading } from './agreement.ts';
import { percents, sqnrText } from './numbers.ts';

export { size };

/** Lays columns side by side, each as wide as its widest cell; numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const isNumeric = (i: number) => rows.slice(1).every((row) => /^[-+]?[\d.∞]+( ?\S{1,3})?$|^$|^-$/.test(row[i] ?? ''));
  const numeric = widths.map((_, i) => isNumeric(i));
  const line = (row: readonly string[]) =>
    widths
      .map((width, i) => (numeric[i] ? (row[i] ?? '').padStart(width) : (row[i] ?? '').padEnd(width)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

/** Rows without the columns in which nothing stands but a heading. */
export function filledColumns(heading: readonly string[], rows: readonly (readonly string[])[]): string[][] {
  const isFilled = heading.map((_, i) => rows.some((row) => row[i] !== ''));
  return [heading, ...rows].map((row) => row.filter((_, i) => isFilled[i]));
}

/** Lines with so many spaces in front. */
export function indented(text: string, spaces: number): string[] {
  return text.split('\n').map((line) => `${' '.repeat(spaces)}${line}`);
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function convertText({ architecture, task, results }: ConvertResult): string {
  const heading = task ? `${architecture}, ${task}` : architecture;
  return [heading, ...results.map(convertedText)].join('\n\n');
}

/** Written files with their sizes, or those that would be written. */
export function fileLines({ files, dryRun }: Pick<ConvertedFile, 'files' | 'dryRun'>): string[] {
  return files.map(({ path, size: bytes }) => `${path}  ${size(bytes)}${dryRun ? ', not written' : ''}`);
}

function convertedText(file: ConvertedFile): string {
  const { inputs, outputs, nodesBefore, nodesAfter, passes, verify, speed } = file;
  const lines = fileLines(file);
  lines.push(`  inputs   ${inputs.map(({ name, type }) => `${name} ${type}`).join(', ')}`);
  lines.push(`  outputs  ${outputs.map(({ name, type }) => `${name} ${type}`).join(', ')}`);
  const ran = passes.filter(({ rewrites }) => rewrites > 0).map(({ name, rewrites }) => `${name} ${rewrites}`);
  lines.push(`  passes   ${nodesBefore} nodes -> ${nodesAfter}${ran.length > 0 ? `: ${ran.join(', ')}` : ''}`);
  for (const { name, declined } of passes)
    for (const reason of declined) lines.push(`           ${name} left ${reason}`);
  if (verify) lines.push(...indented(verifyText(verify), 2));
  if (speed) lines.push(`  ${speedText(speed)}`);
  return lines.join('\n');
}

/** What is said where a file was compared with a source that is not rounded. */
const UNROUNDED =
  'the source rounds all activations of a run to one range, TFLite each row to its own: both are compared with activations that are not rounded, and the file may be off as far as the source is';

/** What is said where a file differs because its mask hides too little. */
const SEES_PADDING =
  "the reason is padding: scores of attention are thousands apart, where the file's mask of -10000 hides none: give the file texts without padding, or a checkpoint of smaller values";

function verifyText({ ok, against, runtime, sequences, outputs, seesPadding }: WrittenVerification): string {
  const rows = outputs.map(({ name, maxAbsError, limit, sqnrDb, sourceDb, agreement }) => [
    name,
    maxAbsError.toExponential(1),
    limit.toExponential(1),
    sqnrText(sqnrDb),
    sourceDb === undefined ? '' : sqnrText(sourceDb),
    agreement === undefined ? '' : percents(agreement),
  ]);
  const titles = ['output', 'max error', 'limit', 'SQNR', "source's", choicesHeading(outputs)];
  const heading = `verified ${ok ? 'ok' : 'FAILED'} against the ${against} in ${runtime}, ${plural(sequences, 'sequence')}`;
  const isUnrounded = outputs.some(({ sourceDb }) => sourceDb !== undefined);
  const reasons = [...(isUnrounded ? [UNROUNDED] : []), ...(seesPadding ? [SEES_PADDING] : [])];
  return [heading, ...reasons, table(filledColumns(titles, rows))].join('\n');
}

function speedText({ runtime, shape, rounds, speedup, quartiles }: SpeedResult): string {
  const [low, high] = quartiles.map((ratio) => ratio.toFixed(2));
  const how = `${rounds} runs in turns, CPU time of 1 thread, inputs [${shape.join(', ')}], quartiles ${low} to ${high}`;
  return `speed    ${speedup.toFixed(2)} times the original's in ${runtime} (${how})`;
}

/** Prints a graph's text behind a summary in comment lines, which `parseGraph` passes over. */
export function passesText(
  rows: readonly { readonly name: string; readonly summary: string; readonly keeps: string; readonly runs: string }[],
): string {
  return table([
    ['pass', 'keeps', 'runs', 'what it does'],
    ...rows.map(({ name, keeps, runs, summary }) => [name, keeps, runs, summary]),
  ]);
}
