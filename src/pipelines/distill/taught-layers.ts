import { isUnsupported, MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { type EncoderLayer, wholeEncoderLayers } from '../evaluate/encoder-layers.ts';
import { type LayerPair, layersOf, readLayerMap } from '../evaluate/layer-map.ts';
import type { TaughtLayer } from '../training/trained.ts';

/** Maps that have a name; anything else is `N:M` or a file. */
const NAMED: readonly string[] = ['uniform', 'first', 'last'];

/** Layers that are compared, and why there are none where nobody asked for that. */
export interface LayerChoice {
  readonly pairs: readonly LayerPair[];
  readonly layers: readonly TaughtLayer[];
  readonly warning: string | undefined;
}

/**
 * Pairs layers of a student with those of its teacher. `map` undefined takes `uniform` where both models have layers.
 * Throws MISMATCH for a map that does not fit, UNSUPPORTED for a map where layers cannot be told apart.
 */
export function taughtLayers(
  map: string | undefined,
  { teacher, student }: { readonly teacher: Graph; readonly student: Graph },
  paths: { readonly teacher: string; readonly student: string },
): LayerChoice {
  if (map === 'none') return { pairs: [], layers: [], warning: undefined };
  let found: { readonly teacher: readonly EncoderLayer[]; readonly student: readonly EncoderLayer[] };
  try {
    found = {
      teacher: wholeEncoderLayers(teacher, paths.teacher),
      student: wholeEncoderLayers(student, paths.student),
    };
  } catch (cause) {
    if (map !== undefined || !isUnsupported(cause)) throw cause;
    return { pairs: [], layers: [], warning: `only answers are compared, no layers: ${cause.message}` };
  }
  const pairs = pairsOf(map ?? 'uniform', found.student.length, found.teacher.length);
  const layers = pairs.map((pair) => {
    const [own, other] = [found.student[pair.student], found.teacher[pair.teacher]] as [EncoderLayer, EncoderLayer];
    return {
      teacher: { attention: other.attention.name, output: other.output.name },
      student: { attention: own.attention.name, output: own.output.name },
      weight: 1 / pairs.length,
    };
  });
  return { pairs, layers, warning: undefined };
}

function pairsOf(map: string, students: number, teachers: number): LayerPair[] {
  if (!NAMED.includes(map)) return readLayerMap(map, students, teachers);
  if (students > teachers) {
    throw new MbertError(
      'MISMATCH',
      `--layer-map ${map}: the student has ${students} layers, the teacher ${teachers}`,
      {
        hint: 'name the pairs in a JSON file, or say --layer-map none to compare answers alone',
      },
    );
  }
  return layersOf(map, students, teachers).map((teacher, student) => ({ student, teacher }));
}
