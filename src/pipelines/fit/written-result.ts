import type { Task } from '../../models/index.ts';
import type { PassTime } from '../../observers/pass-times.ts';
import type { Run } from '../../options/run.ts';
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
  /** What each pass took, in the order in which they ran; where it was asked for. */
  readonly passTimes?: readonly PassTime[];
}

/** Sums up what was written; `warnings` come after the model's own and before those of a fit. */
export function writtenResult<F extends WrittenFile>(
  source: string,
  { model, fit }: ChangedModel,
  results: readonly F[],
  { run: { passTimes }, warnings: more }: { readonly run: Run; readonly warnings: readonly string[] },
): WrittenResult<F> {
  const { architecture, task, unused } = model;
  const warnings = [...model.warnings, ...more, ...(fit?.warnings ?? [])];
  return {
    source,
    architecture,
    task,
    results,
    warnings,
    unused,
    ...(fit && { fit }),
    ...(passTimes && { passTimes }),
  };
}
