import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import type { Run } from '../../options/run.ts';
import type { Target } from '../../passes/index.ts';
import type { NamedBytes } from '../../samples/wordpiece.ts';
import type { FitReport } from './types.ts';

/** A model as passes that change its function left it. */
export interface ChangedModel {
  readonly model: OpenedModel;
  /** What was changed and what that costs; undefined where no such pass was asked for. */
  readonly fit: FitReport | undefined;
}

export interface ChangeOptions {
  readonly passes: PassChoice;
  /** What will be written: operations are counted for these. */
  readonly targets: readonly Target[];
  readonly evidence: EvidenceOptions;
  /** In place of the model's own. */
  readonly vocabulary: NamedBytes | undefined;
  readonly run: Run;
}

/** Runs passes that change the function where some are asked for: never by themselves, and once for all that is written. */
export async function changeFunction(model: OpenedModel, options: ChangeOptions): Promise<ChangedModel> {
  if (options.passes.changing.length === 0) return { model, fit: undefined };
  const { fitModel } = await import('./fit-model.ts');
  return fitModel(model, options);
}

/** What a file says of what was changed in it, and to what text that was fitted. */
export function fitProperties(fit: FitReport | undefined): { readonly [key: string]: string } {
  if (fit === undefined) return {};
  const { passes, kept, embeddings, distillation, calibration, heldOut } = fit;
  const manifest = {
    passes: passes.map(({ name, rewrites }) => ({ name, rewrites })),
    ...(kept.length > 0 && { kept }),
    ...(embeddings.length > 0 && { embeddings }),
    ...(distillation && { distillation }),
    calibration,
    heldOut,
  };
  return { 'mbert.fit': JSON.stringify(manifest) };
}
