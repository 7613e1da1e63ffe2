import { listNames, MbertError, nearest } from '../../errors.ts';
import { isObject, type JsonObject, jsonText, parseJson } from '../../formats/json.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole } from '../../io/files.ts';

/** Sizes of a student; the size of a head is the teacher's. */
export interface StudentShape {
  readonly layers: number;
  readonly hidden: number;
  /** Neurons of each feed-forward network. */
  readonly intermediate: number;
}

const shape = (layers: number, hidden: number, intermediate: number): StudentShape => ({
  layers,
  hidden,
  intermediate,
});

/**
 * Sizes of published students: XtremeDistil (Mukherjee et al. 2021), MiniLM (Wang et al. 2020) and the small BERTs of
 * Turc et al. 2019.
 */
const PRESETS: ReadonlyMap<string, StudentShape> = new Map([
  ['xtremedistil-l6-h256', shape(6, 256, 1024)],
  ['xtremedistil-l6-h384', shape(6, 384, 1536)],
  ['xtremedistil-l12-h384', shape(12, 384, 1536)],
  ['minilm-l6-h384', shape(6, 384, 1536)],
  ['minilm-l3-h384', shape(3, 384, 1536)],
  ['bert-tiny', shape(2, 128, 512)],
  ['bert-mini', shape(4, 256, 1024)],
  ['bert-small', shape(4, 512, 2048)],
  ['bert-medium', shape(8, 512, 2048)],
]);

/** Keys of a config.json that say a shape. */
const KEYS = { layers: 'num_hidden_layers', hidden: 'hidden_size', intermediate: 'intermediate_size' } as const;

/** Sizes of the teacher that a student is cut out of. */
export interface TeacherShape extends StudentShape {
  readonly heads: number;
}

/**
 * Reads a preset's name or a JSON file with the keys of a config.json; a size that it leaves out is the teacher's. Throws
 * USAGE for a name that is no preset, MALFORMED for a file without sizes, MISMATCH for a student that is larger than the
 * teacher or whose width is no number of the teacher's heads.
 */
export function readShape(text: string, teacher: TeacherShape): StudentShape {
  const preset = PRESETS.get(text);
  const found = preset ?? (text.endsWith('.json') ? readShapeFile(text, teacher) : noPreset(text));
  for (const part of ['layers', 'hidden', 'intermediate'] as const) {
    if (found[part] <= teacher[part]) continue;
    throw new MbertError(
      'MISMATCH',
      `--shape ${text}: ${KEYS[part]} ${found[part]}: the teacher has ${teacher[part]}`,
      {
        hint: 'a student is cut out of its teacher, so that it is not larger in anything',
      },
    );
  }
  const size = teacher.hidden / teacher.heads;
  if (found.hidden % size !== 0) {
    const below = Math.floor(found.hidden / size) * size;
    throw new MbertError(
      'MISMATCH',
      `--shape ${text}: hidden_size ${found.hidden}: the teacher's heads have ${size} channels`,
      {
        hint: `whole heads are kept: take a multiple, as ${Math.max(below, size)}`,
      },
    );
  }
  return found;
}

function noPreset(name: string): never {
  const names = [...PRESETS.keys()];
  const near = nearest(name, names);
  throw new MbertError('USAGE', `--shape ${name}: there is no such preset`, {
    hint: `${near ? `did you mean ${near}? ` : ''}presets: ${names.join(', ')}; or a .json file with ${listNames(Object.values(KEYS))}`,
  });
}

function readShapeFile(path: string, teacher: TeacherShape): StudentShape {
  const json = parseJson(decodeText(readWhole(path), path), path);
  if (!isObject(json)) throw new MbertError('MALFORMED', `${path}: is ${jsonText(json)}, not an object`);
  if (!Object.values(KEYS).some((key) => json.has(key))) {
    throw new MbertError('MALFORMED', `${path}: says no size`, { hint: `it takes ${listNames(Object.values(KEYS))}` });
  }
  const found = {
    layers: sizeIn(json, KEYS.layers, path) ?? teacher.layers,
    hidden: sizeIn(json, KEYS.hidden, path) ?? teacher.hidden,
    intermediate: sizeIn(json, KEYS.intermediate, path) ?? teacher.intermediate,
  };
  const heads = sizeIn(json, 'num_attention_heads', path);
  const own = (found.hidden * teacher.heads) / teacher.hidden;
  if (heads !== undefined && heads !== own) {
    throw new MbertError('MISMATCH', `${path}: num_attention_heads: is ${heads}, the teacher's heads make ${own}`, {
      hint: 'heads keep their size; leave the key out',
    });
  }
  return found;
}

function sizeIn(json: JsonObject, key: string, path: string): number | undefined {
  const value = json.get(key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw new MbertError('MALFORMED', `${path}: ${key}: is ${jsonText(value)}, not a positive integer`);
}
