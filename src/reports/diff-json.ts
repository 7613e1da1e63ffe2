import type { ModelDiff } from '../pipelines/diff/diff-models.ts';
import { jsonText } from './json.ts';

/** Most differences that are listed without `--all`; the counts are always of all. */
const MAX_DIFFERENCES = 200;

/** Prints a comparison as docs/diff.md describes it. */
export function diffJson({ differences, outline: _, ...diff }: ModelDiff, all: boolean): string {
  const shown = all ? differences : differences.slice(0, MAX_DIFFERENCES);
  return jsonText({ ...diff, omitted: differences.length - shown.length, differences: shown });
}
