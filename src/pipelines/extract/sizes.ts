import { MbertError } from '../../errors.ts';
import { type JsonObject, jsonText } from '../../formats/json.ts';

/** Sizes of a student; the size of a head is the teacher's. */
export interface StudentShape {
  readonly layers: number;
  readonly hidden: number;
  /** Neurons of each feed-forward network. */
  readonly intermediate: number;
}

/** Sizes of the teacher that a student is cut out of. */
export interface TeacherShape extends StudentShape {
  readonly heads: number;
}

/** The size that a JSON file has under a key; undefined where it has none. Throws MALFORMED for anything else. */
export function sizeIn(json: JsonObject, key: string, path: string): number | undefined {
  const value = json.get(key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw new MbertError('MALFORMED', `${path}: ${key}: is ${jsonText(value)}, not a positive integer`);
}
