import { relative } from 'node:path';
import { AGREEMENT_NAMES } from '../pipelines/evaluate/agreement.ts';
import type { FolderResult, Measured, WrittenForm } from '../pipelines/folder/types.ts';
import { totalSize } from '../pipelines/write/write-model.ts';
import { percents, sqnrText } from './numbers.ts';
import { needsText } from './quantize.ts';
import { indented, size, table } from './text.ts';

/** Says what is in a written folder: a row for each form, the files beside them, the manifest. */
export function folderText(result: FolderResult): string {
  const { architecture, task, layout, results, sideFiles, manifest, vocabulary, folder } = result;
  const heading = `${[architecture, ...(task ? [task] : [])].join(', ')}${layout ? `, for ${layout}` : ''}: ${folder}`;
  const isDry = results.some(({ dryRun }) => dryRun);
  const isRegression = results.some(({ measured }) => measured?.correlation !== undefined);
  const answers = AGREEMENT_NAMES[isRegression ? 'correlation' : 'choices'];
  const headings = ['form', 'file', 'size', 'SQNR', answers, 'cosine', 'measured on'];
  const rows = results.map((form) => rowOf(form, folder));
  return [
    heading,
    '',
    table([headings, ...rows]),
    '',
    ...(vocabulary ? [`tokens   ${vocabulary.before} -> ${vocabulary.tokens}`] : []),
    ...opening(results),
    ...results.flatMap(({ form, needs }) => (needs ? [`needs    ${form}: ${needsText(needs)}`] : [])),
    ...sideFiles.map((file) => `beside   ${besideText(file)}${isDry ? `  ${size(file.size)}` : ''}`),
    `manifest ${manifest}${isDry ? ', not written' : ''}`,
    ...results.flatMap(({ failures }) => failures.map((failure) => `FAILED   ${failure}`)),
  ].join('\n');
}

function besideText({ path, from }: FolderResult['sideFiles'][number]): string {
  return from === undefined ? `${path} (made)` : path;
}

function rowOf({ form, files, measured, dryRun }: WrittenForm, folder: string): string[] {
  const [file] = files;
  return [
    form,
    relative(folder, file?.path ?? ''),
    size(totalSize(files)),
    ...(measured ? measuredCells(measured) : ['-', '', '', dryRun ? 'not written' : 'not run here']),
  ];
}

function measuredCells({
  sqnrDb,
  agreement,
  correlation,
  cosine,
  against,
  on,
  count,
  runtime,
  accuracy,
}: Measured): string[] {
  const answers = agreement === undefined ? (correlation?.toFixed(4) ?? '') : percents(agreement);
  const right = accuracy && `, right ${percents(accuracy.float)} -> ${percents(accuracy.form)}`;
  const how = `${count} ${on}, beside the ${against}, ${runtime}${right ?? ''}`;
  return [sqnrText(sqnrDb), answers, cosine === undefined ? '' : cosine.toFixed(4), how];
}

/** Settings by which the layout's program opens each form. */
function opening(results: readonly WrittenForm[]): string[] {
  const rows = results.flatMap(({ form, openedBy }) => (openedBy === undefined ? [] : [[form, openedBy]]));
  return rows.length === 0 ? [] : ['opened by', ...indented(table(rows), 2), ''];
}
