import { MbertError } from '../../errors.ts';
import { isObject, jsonText, parseJson } from '../../formats/json.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole } from '../../io/files.ts';

/** A layer of the student and the layer of the teacher that teaches it, counted from 0. */
export interface LayerPair {
  readonly student: number;
  readonly teacher: number;
}

/**
 * Reads a layer map. `N:M` pairs the last of every N layers of the student with the last of every M of the teacher, so
 * that both end together; anything else is the path of a JSON object { "student layer": teacher layer }. `students` and
 * `teachers` are the numbers of layers. Throws USAGE or MISMATCH where the models have no such layers, MALFORMED for a
 * file that is no such object.
 */
export function readLayerMap(how: string, students: number, teachers: number): LayerPair[] {
  const [, n, m] = /^(\d+):(\d+)$/.exec(how) ?? [];
  if (n !== undefined && m !== undefined) return strides(how, Number(n), Number(m), students, teachers);
  return readMapFile(how, students, teachers);
}

function strides(how: string, n: number, m: number, students: number, teachers: number): LayerPair[] {
  if (n < 1 || m < 1) throw new MbertError('USAGE', `--layers ${how}: both numbers must be 1 or more`);
  if (students % n !== 0 || teachers % m !== 0 || students / n !== teachers / m) {
    throw new MbertError('MISMATCH', `--layers ${how}: the student has ${students} layers, the teacher ${teachers}`, {
      hint: `N layers of the student for M of the teacher, as ${suggestion(students, teachers)}; or a JSON file {"0": 1, ...}`,
    });
  }
  return Array.from({ length: students / n }, (_, i) => ({ student: n * (i + 1) - 1, teacher: m * (i + 1) - 1 }));
}

function suggestion(students: number, teachers: number): string {
  let [a, b] = [students, teachers];
  while (b !== 0) [a, b] = [b, a % b];
  return `${students / a}:${teachers / a}`;
}

function readMapFile(path: string, students: number, teachers: number): LayerPair[] {
  const json = parseJson(decodeText(readWhole(path), path), path);
  if (!isObject(json)) {
    throw new MbertError('MALFORMED', `${path}: is ${jsonText(json)}, not an object`, {
      hint: 'a layer map is {"student layer": teacher layer}, as {"0": 1, "1": 3}',
    });
  }
  const pairs = [...json].map(([key, value]): LayerPair => {
    const student = /^\d+$/.test(key) ? Number(key) : -1;
    if (student < 0 || student >= students) {
      throw new MbertError('MISMATCH', `${path}: layer "${key}": the student has layers 0 to ${students - 1}`);
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= teachers) {
      const problem = `is taught by ${jsonText(value)}, the teacher has layers 0 to ${teachers - 1}`;
      throw new MbertError('MISMATCH', `${path}: layer "${key}": ${problem}`);
    }
    return { student, teacher: value };
  });
  if (pairs.length === 0) throw new MbertError('MALFORMED', `${path}: names no layer`);
  return pairs.sort((a, b) => a.student - b.student);
}

/** The teacher's layer behind each of the student's. Throws MISMATCH for a map that leaves one out. */
export function layersOf(how: string, students: number, teachers: number): readonly number[] {
  const places = Array.from({ length: students }, (_, layer) => layer);
  if (how === 'first') return places;
  if (how === 'last') return places.map((layer) => teachers - students + layer);
  if (how === 'uniform') return places.map((layer) => Math.round(((layer + 1) * teachers) / students) - 1);
  const map = new Map(readLayerMap(how, students, teachers).map(({ student, teacher }) => [student, teacher]));
  return places.map((layer) => {
    const teacher = map.get(layer);
    if (teacher !== undefined) return teacher;
    throw new MbertError('MISMATCH', `--layers ${how}: names no layer for the student's ${layer}`, {
      hint: `it has layers 0 to ${students - 1}`,
    });
  });
}
