import { MbertError } from '../../errors.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Writing } from '../../options/writing.ts';

/**
 * The model with the class names that the user gives in place of its own, so that files, side files and labelled texts all go
 * by them. Throws MISMATCH where the model has no classes, or another number of them.
 */
export function withGivenLabels(model: OpenedModel, { labels }: Pick<Writing, 'labels'>): OpenedModel {
  if (labels === undefined) return model;
  const { path, names } = labels;
  if (model.labels !== undefined) {
    if (model.labels.length !== names.length) {
      throw new MbertError(
        'MISMATCH',
        `${path}: has ${names.length} labels, the model has ${model.labels.length} classes`,
      );
    }
  } else {
    const { outputs } = model.reference();
    const fits = outputs.some(({ node }) => node.type.shape.at(-1) === names.length);
    // A question answerer may have two numbers for each token, which are no classes.
    if (!fits || model.task === 'qa') {
      const sizes = outputs.map(({ name, node }) => `${name} has ${node.type.shape.at(-1) ?? 1}`);
      throw new MbertError('MISMATCH', `${path}: has ${names.length} labels, and the model no such classes`, {
        hint: `leave out --labels: of its outputs ${sizes.join(', ')}`,
      });
    }
  }
  return { ...model, labels: names };
}
