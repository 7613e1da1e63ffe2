import type { Kind } from '../diff/difference.ts';
import { listNames } from '../errors.ts';
import type { ModelDiff, SideSummary } from '../pipelines/diff/diff-models.ts';
import { choicesHeading } from './agreement.ts';
import { groupDifferences } from './diff-groups.ts';
import { differenceText, number, percent } from './diff-words.ts';
import { plural, size, table } from './text.ts';

/** Most groups of differences that are told without `--all`. */
const MAX_GROUPS = 20;

/** Names of the kinds in headings. */
export const KIND_TITLES: { readonly [K in Kind]: string } = {
  structure: 'structure',
  weights: 'weights',
  quant: 'quantization',
  metadata: 'metadata',
  size: 'size',
  numeric: 'outputs',
};

/** Prints a comparison for a terminal: both sides, then each kind's differences, then the verdict. */
export function diffText(diff: ModelDiff, all: boolean): string {
  const parts = [sidesText(diff)];
  for (const section of sectionsOf(diff, all)) {
    parts.push([section.heading, ...section.lines.map((line) => `  ${line}`)].join('\n'));
  }
  if (diff.numeric) parts.push(numericText(diff));
  parts.push(verdictText(diff));
  return parts.join('\n\n');
}

interface DiffSection {
  readonly kind: Kind;
  readonly heading: string;
  readonly lines: readonly string[];
}

/** Lists the differences of each kind that has some; without `all` up to `MAX_GROUPS` and a count of the rest. */
export function sectionsOf({ differences, counts, constants }: ModelDiff, all: boolean): DiffSection[] {
  const sections: DiffSection[] = [];
  let left = all ? Number.POSITIVE_INFINITY : MAX_GROUPS;
  for (const kind of Object.keys(KIND_TITLES) as Kind[]) {
    // Outputs are told by the table of all of them.
    if (counts[kind] === 0 || kind === 'numeric') continue;
    const groups = groupDifferences(differences.filter((difference) => difference.kind === kind));
    const shown = groups.slice(0, left);
    left -= shown.length;
    const lines = shown.map(({ first, others }) => `${differenceText(first)}${othersText(others)}`);
    const hidden = groups.slice(shown.length).reduce((count, { others }) => count + 1 + others.length, 0);
    if (hidden > 0) lines.push(`and ${hidden} more: --all shows them`);
    const of = kind === 'weights' ? ` (${constants.equal} of ${constants.compared} tensors are equal)` : '';
    sections.push({ kind, heading: `${KIND_TITLES[kind]}: ${plural(counts[kind], 'difference')}${of}`, lines });
  }
  return sections;
}

/** Most other places that are named: names of layers are long and alike, and two show the pattern. */
const MAX_OTHERS = 2;

function othersText(others: readonly string[]): string {
  if (others.length === 0) return '';
  const shown = others.length > MAX_OTHERS + 1 ? others.slice(0, MAX_OTHERS) : others;
  const rest = others.length - shown.length;
  return `; the same in ${others.length} more: ${listNames(rest > 0 ? [...shown, `${rest} more`] : shown)}`;
}

function sidesText({ a, b, level, paired, renamed }: ModelDiff): string {
  const row = (name: string, { path, format, nodes, weightBytes, fileBytes }: SideSummary) => [
    name,
    path,
    format,
    plural(nodes, 'node'),
    `${size(weightBytes)} of weights`,
    fileBytes === null ? '' : `${size(fileBytes)} file`,
  ];
  const named = renamed === 0 ? '' : `, ${renamed} under another name`;
  return `${table([row('a', a), row('b', b)])}\nlevel ${level}: ${paired} nodes and inputs in both${named}`;
}

function numericText({ numeric }: ModelDiff): string {
  if (numeric === null) return '';
  const rows = numeric.outputs.map(({ isWithin, difference: { output, maxAbsError, limit, sqnrDb, agreement } }) => [
    output.a,
    isWithin ? 'same' : 'differs',
    maxAbsError === null ? 'not finite' : number(maxAbsError),
    number(limit),
    sqnrDb === null ? (maxAbsError === 0 ? 'equal' : '-') : `${sqnrDb.toFixed(1)} dB`,
    agreement === null ? '-' : percent(agreement),
  ]);
  const heading = `${plural(numeric.sequences, 'sequence')} in ${numeric.a} and ${numeric.b}`;
  return `${heading}\n${table([['output', '', 'max error', 'limit', 'SQNR', choicesHeading(numeric.outputs.map(({ difference }) => difference))], ...rows])}`;
}

/** The verdict: `same`, which kinds differ, or that none of those counts. */
export function verdictText({ same, counts, ignored }: ModelDiff): string {
  const kinds = (Object.keys(counts) as Kind[]).filter((kind) => counts[kind] > 0);
  const list = kinds.map((kind) => `${KIND_TITLES[kind]} ${counts[kind]}`).join(', ');
  const rest = ignored === 0 ? '' : ` (${plural(ignored, 'difference')} ignored)`;
  if (!same) return `different: ${list}${rest}`;
  return list === '' ? `same${rest}` : `different, but none of it counts: ${list}${rest}`;
}
