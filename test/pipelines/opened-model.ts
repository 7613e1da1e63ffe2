import type { OpenedModel } from '../../src/opened/opened-model.ts';
import { graphOf } from '../core.ts';

/** An opened classifier that has nothing but its graph. */
export function openedModel(parts: Pick<OpenedModel, 'build' | 'reference'> & Partial<OpenedModel>): OpenedModel {
  return {
    path: 'tiny',
    task: 'sequence-classification',
    architecture: 'tiny',
    maxPositions: 8,
    labels: undefined,
    format: 'onnx',
    tokenizer: {},
    pad: 0,
    warnings: [],
    unused: [],
    close: () => {},
    ...parts,
  };
}

/** An opened classifier whose graph is written as text. */
export function modelOf(text: string, more: Partial<OpenedModel> = {}): OpenedModel {
  return openedModel({ build: () => graphOf(text), reference: () => graphOf(text), ...more });
}
