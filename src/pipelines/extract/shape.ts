import { listNames, MbertError, nearest } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../../formats/json.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole } from '../../io/files.ts';
import {
  checkSizes,
  fittingSizes,
  isMobileBertShape,
  MOBILEBERT_KEYS,
  MOBILEBERT_PRESETS,
  type MobileBertSizes,
  readMobileBertShape,
} from './mobilebert/shape.ts';
import { type StudentShape, sizeIn, type TeacherShape } from './sizes.ts';

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

/** Key that may stand beside them, as heads keep their size. */
const HEADS = 'num_attention_heads';

/** Sizes of a student: of a BERT, or of a MobileBERT. */
export type AnyShape = StudentShape & { readonly mobilebert?: MobileBertSizes };

/**
 * Reads a preset's name or a JSON file with the keys of a config.json; a size that it leaves out is the teacher's, of a
 * MobileBERT mobilebert-uncased's. Throws USAGE for a name that is no preset, MALFORMED for a file without sizes, MISMATCH for a student that is larger than the
 * teacher or whose width is no number of the teacher's heads.
 */
export function readShape(text: string, teacher: TeacherShape): AnyShape {
  const mobile = MOBILEBERT_PRESETS.get(text);
  const preset = mobile ? { mobilebert: fittingSizes(mobile, teacher) } : PRESETS.get(text);
  const found = preset ?? (text.endsWith('.json') ? readShapeFile(text, teacher) : noPreset(text));
  if ('mobilebert' in found) {
    checkSizes(text, found.mobilebert, teacher);
    const { layers, hidden, intermediate } = found.mobilebert;
    return { layers, hidden, intermediate, mobilebert: found.mobilebert };
  }
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

/**
 * Warns of what a JSON file says besides sizes, where the teacher's config says something else or nothing: a student has
 * its teacher's settings, and a size whose key is misspelt is the teacher's.
 */
export function settingWarnings(text: string, config: JsonObject): string[] {
  if (!text.endsWith('.json')) return [];
  const json = readObject(text);
  const read = isMobileBertShape(json) ? MOBILEBERT_KEYS : [...Object.values(KEYS), HEADS];
  const same = (value: JsonValue, own: JsonValue | undefined) => own !== undefined && jsonText(value) === jsonText(own);
  const left = [...json].filter(([key, value]) => !read.includes(key) && !same(value, config.get(key)));
  if (left.length === 0) return [];
  return [`${text}: ${listNames(left.map(([key]) => key))}: not taken: students have what the teacher's config says`];
}

function readObject(path: string): JsonObject {
  const json = parseJson(decodeText(readWhole(path), path), path);
  if (!isObject(json)) throw new MbertError('MALFORMED', `${path}: is ${jsonText(json)}, not an object`);
  return json;
}

function noPreset(name: string): never {
  const names = [...PRESETS.keys(), ...MOBILEBERT_PRESETS.keys()];
  const near = nearest(name, names);
  throw new MbertError('USAGE', `--shape ${name}: there is no such preset`, {
    hint: `${near ? `did you mean ${near}? ` : ''}presets: ${names.join(', ')}; or a .json file with ${listNames(Object.values(KEYS))}`,
  });
}

function readShapeFile(path: string, teacher: TeacherShape): StudentShape | { readonly mobilebert: MobileBertSizes } {
  const json = readObject(path);
  if (isMobileBertShape(json)) return { mobilebert: readMobileBertShape(json, path, teacher) };
  if (!Object.values(KEYS).some((key) => json.has(key))) {
    throw new MbertError('MALFORMED', `${path}: says no size`, { hint: `it takes ${listNames(Object.values(KEYS))}` });
  }
  const found = {
    layers: sizeIn(json, KEYS.layers, path) ?? teacher.layers,
    hidden: sizeIn(json, KEYS.hidden, path) ?? teacher.hidden,
    intermediate: sizeIn(json, KEYS.intermediate, path) ?? teacher.intermediate,
  };
  const heads = sizeIn(json, HEADS, path);
  const own = (found.hidden * teacher.heads) / teacher.hidden;
  if (heads !== undefined && heads !== own) {
    throw new MbertError('MISMATCH', `${path}: ${HEADS}: is ${heads}, the teacher's heads make ${own}`, {
      hint: 'heads keep their size; leave the key out',
    });
  }
  return found;
}
