import type { QuantizedFile, QuantizeResult } from '../pipelines/quantize/quantize.ts';
import { agreementHeading, agreementValue, agreementWords } from './agreement.ts';
import { embeddingRows } from './embeddings.ts';
import { percents, sqnrText } from './numbers.ts';
import { fileLines, indented, plural, size, table } from './text.ts';

/** Words a result; `everyNote` prints what calibrated passes decided line by line, however many lines these are. */
export function quantizeText(
  { architecture, task, results }: QuantizeResult,
  { everyNote = false }: { readonly everyNote?: boolean } = {},
): string {
  const heading = `${architecture}${task ? `, ${task}` : ''}`;
  return [heading, ...results.map((file) => fileText(file, everyNote))].join('\n\n');
}

/** Most lines of one pass that are printed without being asked for: an encoder of six layers has twice as many. */
const MAX_NOTES = 12;

function notesOf({ name, notes = [], summary }: QuantizedFile['passes'][number], everyNote: boolean): string[] {
  if (everyNote || summary === undefined || notes.length <= MAX_NOTES) return notes.map((note) => `  ${name} ${note}`);
  return [`  ${name} ${summary} (--verbose tells each, --report and --json do)`];
}

function fileText(file: QuantizedFile, everyNote: boolean): string {
  const { scheme, form, linears, passes } = file;
  const counts = Object.entries(linears).map(([how, count]) => `${count} ${how}`);
  const declined = passes.flatMap(({ name, declined: reasons }) =>
    name === 'equalize-streams' ? reasons.map((reason) => `  ${name} left ${reason}`) : [],
  );
  return [
    ...fileLines(file),
    `  ${scheme === form ? scheme : `${scheme}, ${form}`}; linears: ${counts.join(', ')}`,
    ...declined,
    ...passes.flatMap((pass) => notesOf(pass, everyNote)),
    ...roundingLines(file),
    ...widenedLines(file),
    ...needsLines(file),
    ...scanLines(file),
    ...paretoLines(file),
    ...proofLines(file),
    timesLine(file),
    ...file.failures.map((failure) => `  FAILED ${failure}`),
  ].join('\n');
}

function timesLine({ times: { calibrationMs, scanMs, writingMs, proofMs } }: QuantizedFile): string {
  const parts = { calibration: calibrationMs, scan: scanMs, writing: writingMs, proof: proofMs };
  const worded = Object.entries(parts).map(([part, ms]) => `${part} ${(ms / 1000).toFixed(1)} s`);
  return `  took ${worded.join(', ')}`;
}

function roundingLines(file: QuantizedFile): string[] {
  return roundingsOf(file).map(
    ({ what, used, samples, usedDb, otherDb, other }) =>
      `  ${what}: ${used} (${sqnrText(usedDb)} on ${plural(samples, 'trial sample')}; ${other} ${sqnrText(otherDb)})`,
  );
}

/** Lists what was tried of a weight's rounding, which of the two was taken, and what each was worth. */
export function roundingsOf({ rounding, biasCorrection, refit }: QuantizedFile) {
  const rows: { what: string; used: string; other: string; samples: number; usedDb: number; otherDb: number }[] = [];
  if (rounding) {
    const { used, samples, gptqDb, nearestDb } = rounding;
    const isUsed = used === 'gptq';
    const [usedDb, otherDb] = isUsed ? [gptqDb, nearestDb] : [nearestDb, gptqDb];
    rows.push({ what: 'rounding', used, other: isUsed ? 'nearest' : 'gptq', samples, usedDb, otherDb });
  }
  if (biasCorrection) {
    const { used, samples, correctedDb, plainDb } = biasCorrection;
    const [usedDb, otherDb] = used ? [correctedDb, plainDb] : [plainDb, correctedDb];
    const [name, other] = used ? ['corrected', 'as they were'] : ['as they were', 'corrected'];
    rows.push({ what: 'biases', used: name, other, samples, usedDb, otherDb });
  }
  if (refit) {
    const { used, samples, fittedDb, plainDb } = refit;
    const [usedDb, otherDb] = used ? [fittedDb, plainDb] : [plainDb, fittedDb];
    const [name, other] = used ? ['refitted', 'as they were'] : ['as they were', 'refitted'];
    rows.push({ what: 'linears', used: name, other, samples, usedDb, otherDb });
  }
  return rows;
}

/** Lists the linears with 8 bits in place of 4, and what 4 bits would have cost the answers. */
function widenedLines({ widened }: QuantizedFile): string[] {
  if (widened.length === 0) return [];
  const rows = widened.map(({ name, sqnrDb, addedBytes }) => [name, sqnrText(sqnrDb), size(addedBytes)]);
  return indented(table([['8 bits in place of 4', 'alone in 4 bits', 'bytes more'], ...rows]), 2);
}

function needsLines({ needs }: QuantizedFile): string[] {
  return needs ? [`  needs ${needsText(needs)}`] : [];
}

/** Words which ONNX Runtime computes the operators of a file that are its own. */
export function needsText({ operators, onnxruntime }: NonNullable<QuantizedFile['needs']>): string {
  const names = operators.map((op) => `com.microsoft::${op}`).join(', ');
  return `ONNX Runtime ${onnxruntime} or newer: ${names}`;
}

function scanLines({ scan }: QuantizedFile): string[] {
  if (!scan) return [];
  const measured = scan.sites.filter(({ sqnrDb }) => sqnrDb !== undefined);
  const sums = { 'all of these': scan.togetherDb, 'everything else': scan.restDb };
  const totals = Object.entries(sums).flatMap(([name, db]) =>
    db === undefined ? [] : [[name, sqnrText(db)] as const],
  );
  if (measured.length === 0) {
    const heading = `${plural(scan.sites.length, 'linear')} with outliers, none kept`;
    return [`  ${[heading, ...totals.map(([name, db]) => `${name} ${db}`)].join(', ')}`];
  }
  const rows = measured.map(({ name, peak, sqnrDb = 0, kept: isKept }) => [
    name,
    peak.toFixed(0),
    sqnrText(sqnrDb),
    isKept ? scan.keptAs : '',
  ]);
  const heading = ['linears with outliers', 'max/rms', 'alone', 'kept'];
  return indented(table([heading, ...rows, ...totals.map(([name, db]) => [name, '', db, ''])]), 2);
}

function paretoLines({ pareto }: QuantizedFile): string[] {
  if (!pareto) return [];
  const rows = pareto.map(({ kept, addedBytes, sqnrDb, chosen, ...found }) => [
    `${kept}`,
    size(addedBytes),
    sqnrText(sqnrDb),
    agreementValue(found),
    chosen ? 'chosen' : '',
  ]);
  return indented(table([['linears kept', 'added', 'SQNR', agreementHeading(pareto), ''], ...rows]), 2);
}

function proofLines({ proof }: QuantizedFile): string[] {
  if (!proof) return ['  not measured: --data FILE gives texts to measure on'];
  const { runtime, samples, sqnrDb, accuracy, embeddings, layers } = proof;
  const agreements = embeddings
    ? embeddingRows(embeddings)
    : [[agreementHeading([proof]), agreementWords(proof)] as const];
  const parts = [`SQNR ${sqnrText(sqnrDb)}`, ...agreements.map((row) => row.join(' '))];
  if (accuracy) parts.push(`accuracy ${percents(accuracy.float)} -> ${percents(accuracy.quantized)}`);
  const lines = [`  against float in ${runtime}, ${samples} samples: ${parts.join(', ')}`];
  if (layers.length > 0) {
    const rows = layers.map(({ name, sqnrDb: db }) => [name, sqnrText(db)]);
    lines.push(...indented(table([['layer', 'SQNR'], ...rows]), 2));
  }
  return lines;
}
