import type { OpenedModel } from '../../opened/opened-model.ts';
import type { PassOptions } from '../../options/passes.ts';

/** Warns of a pattern of names to leave alone that no node has: a slip of the pen would leave nothing alone without a word. */
export function keepWarnings(model: OpenedModel, { keep }: Pick<PassOptions, 'keep'>): string[] {
  const nodes = keep === undefined ? [] : model.reference().nodes();
  if (keep === undefined || nodes.some(({ name }) => keep.test(name))) return [];
  return [`--keep ${keep.source}: no node of ${model.path} has such a name, so none is left alone`];
}
