import type { Kind } from '../diff/difference.ts';
import type { ModelDiff } from '../pipelines/diff/diff-models.ts';
import { groupDifferences } from './diff-groups.ts';
import { KIND_TITLES, verdictText } from './diff-text.ts';
import { differenceText } from './diff-words.ts';

/** Most annotations of each level: GitHub shows ten for a step and drops the others. */
const MAX_ANNOTATIONS = 10;

/** Prints GitHub's workflow commands (docs.github.com, "Workflow commands"): errors for what counts, else notices. */
export function diffGithub(diff: ModelDiff, failing: ReadonlySet<Kind>): string {
  const file = `file=${escapeProperty(diff.b.path)}`;
  const groups = groupDifferences(diff.differences);
  const lines: string[] = [];
  for (const [level, counts] of [
    ['error', true],
    ['notice', false],
  ] as const) {
    const ofLevel = groups.filter(({ first }) => failing.has(first.kind) === counts);
    // One place is left for the verdict.
    for (const { first, others } of ofLevel.slice(0, MAX_ANNOTATIONS - 1)) {
      const again = others.length === 0 ? '' : `; the same in ${others.length} more places`;
      lines.push(
        `::${level} ${file},title=${escapeProperty(KIND_TITLES[first.kind])}::${escapeData(differenceText(first) + again)}`,
      );
    }
  }
  const level = diff.same ? 'notice' : 'error';
  lines.push(`::${level} ${file},title=mbert diff::${escapeData(verdictText(diff))}`);
  return lines.join('\n');
}

function escapeData(text: string): string {
  return text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
}
