import type { OpenedModel } from '../../opened/opened-model.ts';
import type { ChangedModel, ChangeOptions, FitReport } from './types.ts';

/** Runs the passes that change the function: only those that are asked for, and once for all files that are written. */
export async function changeFunction(model: OpenedModel, options: ChangeOptions): Promise<ChangedModel> {
  if (options.passes.changing.length === 0) return { model, fit: undefined };
  const { fitModel } = await import('./fit-model.ts');
  return fitModel(model, options);
}

/** Metadata of a file that says what was changed in it, and to which text that was fitted. */
export function fitProperties(fit: FitReport | undefined): { readonly [key: string]: string } {
  if (fit === undefined) return {};
  const { passes, kept, embeddings, pruning, distillation, calibration, heldOut } = fit;
  const { curve: _, ...training } = distillation ?? { curve: [] };
  const manifest = {
    passes: passes.map(({ name, rewrites }) => ({ name, rewrites })),
    ...(kept.length > 0 && { kept }),
    ...(embeddings.length > 0 && { embeddings }),
    ...(pruning && { pruning: { share: pruning.share, groups: pruning.groups } }),
    ...(distillation && { distillation: training }),
    calibration,
    heldOut,
  };
  return { 'mbert.fit': JSON.stringify(manifest) };
}
