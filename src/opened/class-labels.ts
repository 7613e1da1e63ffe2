import { MbertError } from '../errors.ts';
import type { Graph } from '../ir/graph.ts';
import type { OpenedModel } from './opened-model.ts';

/** Reads a sample's label as a class; `what` names the sample in errors. Throws MISMATCH. */
export type ClassReader = (label: number | string, what: string) => number;

/** The label reader of a classifier of which one class is right; undefined for regressions and other tasks. */
export function classReaderOf({ task, labels, logitsKind }: OpenedModel, graph: Graph): ClassReader | undefined {
  const classes = graph.outputs[0]?.node.type.shape.at(-1) as number;
  if (task !== 'sequence-classification' || logitsKind !== undefined || classes === 1) return undefined;
  return classReader(classes, labels);
}

/** Makes a reader of a classifier's labels: class numbers or, where the model names its classes, names. */
export function classReader(classes: number, names: readonly string[] | undefined): ClassReader {
  return (label, what) => {
    if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes) return label;
    const place = names?.indexOf(String(label)) ?? -1;
    if (place >= 0) return place;
    throw new MbertError('MISMATCH', `${what}: label ${label}: is none of the model's ${classes} classes`, {
      hint: `they are 0 to ${classes - 1}${names ? `, or ${names.join(', ')}` : ''}`,
    });
  };
}
