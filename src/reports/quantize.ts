import type { QuantizedFile, QuantizeResult } from '../pipelines/quantize/quantize.ts';
import { plural, size, table } from './text.ts';

const decibel = (value: number) => (Number.isFinite(value) ? `${value.toFixed(1)} dB` : 'equal');
const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

export function quantizeText({ architecture, task, results }: QuantizeResult): string {
  return [`${architecture}${task ? `, ${task}` : ''}`, ...results.map(fileText)].join('\n\n');
}

function fileText(file: QuantizedFile): string {
  const { files, scheme, form, linears, passes } = file;
  const counts = Object.entries(linears).map(([how, count]) => `${count} ${how}`);
  const declined = passes.flatMap(({ name, declined: reasons }) =>
    name === 'equalize-streams' ? reasons.map((reason) => `  ${name} left ${reason}`) : [],
  );
  return [
    ...files.map(({ path, size: bytes }) => `${path}  ${size(bytes)}`),
    `  ${scheme === form ? scheme : `${scheme}, ${form}`}; linears: ${counts.join(', ')}`,
    ...declined,
    ...roundingLines(file),
    ...scanLines(file),
    ...paretoLines(file),
    ...proofLines(file),
    timesLine(file),
    ...file.failures.map((failure) => `  FAILED ${failure}`),
  ].join('\n');
}

function indent(text: string): string[] {
  return text.split('\n').map((line) => `  ${line}`);
}

function timesLine({ times: { calibrationMs, scanMs, writingMs, proofMs } }: QuantizedFile): string {
  const parts = { calibration: calibrationMs, scan: scanMs, writing: writingMs, proof: proofMs };
  const worded = Object.entries(parts).map(([part, ms]) => `${part} ${(ms / 1000).toFixed(1)} s`);
  return `  took ${worded.join(', ')}`;
}

function roundingLines(file: QuantizedFile): string[] {
  return roundingsOf(file).map(
    ({ what, used, samples, usedDb, otherDb, other }) =>
      `  ${what}: ${used} (${decibel(usedDb)} on ${plural(samples, 'trial sample')}; ${other} ${decibel(otherDb)})`,
  );
}

/** What was tried of a weight's rounding, which of the two was taken, and what each was worth. */
export function roundingsOf({ rounding, biasCorrection }: QuantizedFile) {
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
  return rows;
}

function scanLines({ scan }: QuantizedFile): string[] {
  if (!scan) return [];
  const measured = scan.sites.filter(({ sqnrDb }) => sqnrDb !== undefined);
  const sums = { 'all of these': scan.togetherDb, 'everything else': scan.restDb };
  const totals = Object.entries(sums).flatMap(([name, db]) => (db === undefined ? [] : [[name, decibel(db)] as const]));
  if (measured.length === 0) {
    const heading = `${plural(scan.sites.length, 'linear')} with outliers, none kept`;
    return [`  ${[heading, ...totals.map(([name, db]) => `${name} ${db}`)].join(', ')}`];
  }
  const rows = measured.map(({ name, peak, sqnrDb = 0, kept: isKept }) => [
    name,
    peak.toFixed(0),
    decibel(sqnrDb),
    isKept ? scan.keptAs : '',
  ]);
  const heading = ['linears with outliers', 'max/rms', 'alone', 'kept'];
  return indent(table([heading, ...rows, ...totals.map(([name, db]) => [name, '', db, ''])]));
}

function paretoLines({ pareto }: QuantizedFile): string[] {
  if (!pareto) return [];
  const rows = pareto.map(({ kept, addedBytes, sqnrDb, agreement, chosen }) => [
    `${kept}`,
    size(addedBytes),
    decibel(sqnrDb),
    percent(agreement),
    chosen ? 'chosen' : '',
  ]);
  return indent(table([['linears kept', 'added', 'SQNR', 'agreement', ''], ...rows]));
}

function proofLines({ proof }: QuantizedFile): string[] {
  if (!proof) return ['  not measured: give --data FILE or --calibrate FILE'];
  const { runtime, samples, sqnrDb, agreement, accuracy, layers } = proof;
  const parts = [`SQNR ${decibel(sqnrDb)}`, `agreement ${percent(agreement)}`];
  if (accuracy) parts.push(`accuracy ${percent(accuracy.float)} -> ${percent(accuracy.quantized)}`);
  const lines = [`  against float in ${runtime}, ${samples} samples: ${parts.join(', ')}`];
  if (layers.length > 0) {
    const rows = layers.map(({ name, sqnrDb: db }) => [name, decibel(db)]);
    lines.push(...indent(table([['layer', 'SQNR'], ...rows])));
  }
  return lines;
}
