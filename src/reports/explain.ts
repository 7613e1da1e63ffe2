import type { Attempt } from '../ir/pass.ts';
import type { ExplainedRun, Explanation } from '../pipelines/explain/explain-pass.ts';
import { plural } from './text.ts';

/** A longer pattern says less than the summary does. */
const MAX_PATTERN = 240;

export function explanationText({ pass, summary, pattern, parts, runs }: Explanation): string {
  const lines = [`${pass}: ${summary}`];
  if (pattern !== undefined && pattern.length <= MAX_PATTERN) lines.push(`looks for ${pattern}`);
  for (const run of runs) lines.push('', ...runLines(run, parts));
  return lines.join('\n');
}

function runLines(run: ExplainedRun, parts: number | undefined): string[] {
  const { stage, behind, rewrites, declined, nodes, others } = run;
  const place = stage === 'raising' ? 'raising' : `for ${stage}`;
  const lines = [
    `${place}, ${behind.length > 0 ? `behind ${behind.join(', ')}` : 'first of all'}: ${plural(rewrites, 'rewrite')}`,
  ];
  if (parts === undefined) {
    lines.push(...declined.map((line) => `  ${line}`));
    if (declined.length === 0) lines.push('  it is no pattern rule, and keeps no record of nodes that it leaves alone');
    return lines;
  }
  lines.push(...nodes.map((attempt) => `  ${attemptText(attempt, parts)}`));
  if (others > 0) lines.push(`  and ${others} more`);
  if (nodes.length === 0) lines.push('  nothing else is like the pattern');
  return lines;
}

function attemptText({ name, outcome, fitted, reason }: Attempt, parts: number): string {
  if (outcome === 'rewritten') return `${name}: is rewritten`;
  return outcome === 'missed' ? `${name}: ${reason} (${fitted} of ${parts} parts fit)` : `${name}: fits, but ${reason}`;
}
