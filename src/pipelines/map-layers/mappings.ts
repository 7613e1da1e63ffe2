import { cheapestRisingMap, greedyRisingMap } from '../../solve/monotone-map.ts';
import { layersOf } from '../evaluate/layer-map.ts';
import { type LayerMapping, type LayerMappings, MAPPINGS, type Mapping, type Method } from './types.ts';

/** Errors and alignments of each layer of a student beside each of its teacher's. */
export type LayerPairs = Pick<LayerMappings, 'functionErrors' | 'errors' | 'alignments'>;

/** What the errors of values weigh beside those of functions: they decide between layers that do the same, as in ALBERT. */
const TIE = 1e-6;

/** What maps are made of where layers can be run by themselves, and where they cannot. */
export function fitnessOf({ functionErrors }: LayerPairs): LayerMappings['fitness'] {
  return functionErrors === null ? 'error' : 'function';
}

/** What a pair of layers costs in a map. */
export function costsOf({ functionErrors, errors }: LayerPairs): readonly (readonly number[])[] {
  if (functionErrors === null) return errors;
  return functionErrors.map((row, i) => row.map((value, j) => value + TIE * (errors[i]?.[j] as number)));
}

/** Maps by each method, with the means of their errors and alignments. */
export function mappingsOf(pairs: LayerPairs): LayerMapping[] {
  const { errors, alignments } = pairs;
  const [students, teachers] = [errors.length, errors[0]?.length ?? 0];
  const maps: { readonly [M in Mapping]: readonly number[] } = {
    best: cheapestRisingMap(costsOf(pairs).map((row) => Float64Array.from(row))),
    greedy: greedyRisingMap(alignments.map((row) => Float64Array.from(row))),
    uniform: layersOf('uniform', students, teachers),
    last: layersOf('last', students, teachers),
  };
  return MAPPINGS.map((method) => mappingOf(method, maps[method], pairs));
}

/** Describes a map by the means along it. */
export function mappingOf(method: Method, map: readonly number[], pairs: LayerPairs): LayerMapping {
  const { functionErrors, errors, alignments } = pairs;
  return {
    method,
    map,
    functionError: functionErrors && meanAlong(functionErrors, map),
    error: meanAlong(errors, map),
    alignment: meanAlong(alignments, map),
  };
}

/** The mean of values [student][teacher] along a map. */
export function meanAlong(values: readonly (readonly number[])[], map: readonly number[]): number {
  return map.reduce((sum, teacher, student) => sum + (values[student]?.[teacher] as number), 0) / map.length;
}
