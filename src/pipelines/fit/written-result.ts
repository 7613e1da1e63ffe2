import type { Task } from '../../models/index.ts';
import type { WrittenFile } from '../write/write-model.ts';
import type { ChangedModel, FitReport } from './types.ts';

/** Result of writing a source. */
export interface WrittenResult<F extends WrittenFile> {
  readonly source: string;
  readonly architecture: string;
  readonly task: Task | undefined;
  readonly results: readonly F[];
  readonly warnings: readonly string[];
  /** Weights of the source that the model does not use. */
  readonly unused: readonly string[];
  /** Changes by passes that change the function, with what they cost. */
  readonly fit?: FitReport;
}

export function writtenResult<F extends WrittenFile>(
  source: string,
  { model, fit }: ChangedModel,
  results: readonly F[],
): WrittenResult<F> {
  const { architecture, task, unused } = model;
  const warnings = [...model.warnings, ...(fit?.warnings ?? [])];
  return { source, architecture, task, results, warnings, unused, ...(fit && { fit }) };
}
