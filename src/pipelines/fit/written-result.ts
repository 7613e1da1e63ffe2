import type { Task } from '../../models/index.ts';
import type { WrittenFile } from '../write/write-model.ts';
import type { ChangedModel, FitReport } from './types.ts';

/** What was made of a source. */
export interface WrittenResult<F extends WrittenFile> {
  readonly source: string;
  readonly architecture: string;
  readonly task: Task | undefined;
  readonly results: readonly F[];
  readonly warnings: readonly string[];
  /** Weights of the source that the model does not use. */
  readonly unused: readonly string[];
  /** What passes that are fitted to text have changed, and what that costs. */
  readonly fit?: FitReport;
}

/** `more` are warnings that come before those of a fit. */
export function writtenResult<F extends WrittenFile>(
  source: string,
  { model, fit }: ChangedModel,
  results: readonly F[],
  more: readonly string[],
): WrittenResult<F> {
  const { architecture, task, unused } = model;
  const warnings = [...model.warnings, ...more, ...(fit?.warnings ?? [])];
  return { source, architecture, task, results, warnings, unused, ...(fit && { fit }) };
}
