import { MbertError } from '../errors.ts';

/** Reads labels of a classifier: class numbers or, where the model names its classes, names. Throws MISMATCH. */
export function classReader(classes: number, names: readonly string[] | undefined) {
  return (label: number | string, what: string): number => {
    if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes) return label;
    const place = names?.indexOf(String(label)) ?? -1;
    if (place >= 0) return place;
    throw new MbertError('MISMATCH', `${what}: label ${label}: is none of the model's ${classes} classes`, {
      hint: `they are 0 to ${classes - 1}${names ? `, or ${names.join(', ')}` : ''}`,
    });
  };
}
