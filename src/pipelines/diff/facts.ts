import type { MetadataDifference } from '../../diff/difference.ts';
import type { DiffSide } from './sides.ts';

/**
 * Compares the metadata of the whole model. By meaning, and between two formats, only what both sides state counts:
 * ONNX has no place for a vocabulary, and a checkpoint no opset.
 */
export function compareFacts(a: DiffSide, b: DiffSide, level: 'raw' | 'raised'): MetadataDifference[] {
  const sameFormat = a.format === b.format;
  const ofMeaning = compareMaps(a.meaning, b.meaning, level === 'raw' && sameFormat);
  return level === 'raw' && sameFormat ? [...ofMeaning, ...compareMaps(a.facts, b.facts, true)] : ofMeaning;
}

function compareMaps(
  a: ReadonlyMap<string, string>,
  b: ReadonlyMap<string, string>,
  missing: boolean,
): MetadataDifference[] {
  const keys = [...new Set([...a.keys(), ...b.keys()])];
  const counting = keys.filter((key) => a.get(key) !== b.get(key) && (missing || (a.has(key) && b.has(key))));
  return counting.map((key) => ({
    kind: 'metadata',
    change: 'metadata',
    key,
    from: a.get(key) ?? null,
    to: b.get(key) ?? null,
  }));
}
