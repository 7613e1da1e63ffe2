import type { ModelDiff, SideSummary } from '../pipelines/diff/diff-models.ts';
import { choicesHeading } from './agreement.ts';
import { sectionsOf, verdictText } from './diff-text.ts';
import { number, percent } from './diff-words.ts';
import { size } from './text.ts';

/** Prints a comparison for a pull request's comment or a job's summary. */
export function diffMarkdown(diff: ModelDiff, all: boolean): string {
  const { a, b, numeric } = diff;
  const parts = [
    `### ${diff.same ? '✅' : '❌'} ${escapeMarkdown(verdictText(diff))}`,
    markdownTable(['', 'model', 'format', 'nodes', 'weights', 'file'], [sideRow('a', a), sideRow('b', b)]),
  ];
  for (const { heading, lines } of sectionsOf(diff, all)) {
    parts.push([`**${heading}**`, '', ...lines.map((line) => `- ${escapeMarkdown(line)}`)].join('\n'));
  }
  if (numeric) {
    const rows = numeric.outputs.map(({ isWithin, difference: { output, maxAbsError, limit, sqnrDb, agreement } }) => [
      code(output.a),
      isWithin ? 'same' : 'differs',
      maxAbsError === null ? 'not finite' : number(maxAbsError),
      number(limit),
      sqnrDb === null ? '-' : `${sqnrDb.toFixed(1)} dB`,
      agreement === null ? '-' : percent(agreement),
    ]);
    parts.push(`**${numeric.sequences} sequences in ${numeric.a} and ${numeric.b}**`);
    const choices = choicesHeading(numeric.outputs.map(({ difference }) => difference));
    parts.push(markdownTable(['output', '', 'max error', 'limit', 'SQNR', choices], rows));
  }
  return parts.join('\n\n');
}

function sideRow(name: string, { path, format, nodes, weightBytes, fileBytes }: SideSummary): string[] {
  return [name, code(path), format, String(nodes), size(weightBytes), fileBytes === null ? '-' : size(fileBytes)];
}

function markdownTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A character without width, which keeps `@name` from calling somebody and an address from becoming a link. */
const JOINER = '\u2060';

/** Escapes a text: names hold underscores and stars, and a model's author chose them. */
function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]<>#|~]/g, '\\$&')
    .replace(/\n/g, ' ')
    .replace(/@|:(?=\/\/)|\bwww(?=\.)/gi, `$&${JOINER}`);
}

function code(text: string): string {
  return `\`${text.replace(/[`|\n]/g, ' ')}\``;
}
