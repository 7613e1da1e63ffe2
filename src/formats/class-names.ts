import { listNames } from '../errors.ts';
import type { JsonObject, JsonValue } from './json.ts';

/** Names of a classifier's classes in their order. */
export interface ClassNames {
  readonly names: readonly string[];
  /** Warning about them, worded `id2label: problem`. */
  readonly warning: string | undefined;
}

/**
 * Reads id2label as transformers does: it has as many classes as entries, whatever their keys, and any value is a name.
 * A class that has none gets the one that transformers would make up. Undefined where a key is no number, which
 * transformers refuses.
 */
export function readClassNames(id2label: JsonObject): ClassNames | undefined {
  if ([...id2label.keys()].some((key) => !/^-?\d+$/.test(key))) return undefined;
  const byClass = new Map([...id2label].map(([key, name]) => [Number(key), nameOf(name)]));
  const names = Array.from({ length: id2label.size }, (_, i) => byClass.get(i) ?? `LABEL_${i}`);
  const unnamed = [...names.keys()].filter((i) => byClass.get(i) === undefined);
  if (unnamed.length === 0) return { names, warning: undefined };
  const beyond = [...byClass].filter(([i]) => i < 0 || i >= names.length).map(([i, name]) => `${i} ("${name}")`);
  const lost = beyond.length === 0 ? '' : `; there is no class ${listNames(beyond)}`;
  const standIns = listNames(unnamed.map((i) => `LABEL_${i}`));
  return {
    names,
    warning: `id2label: has ${names.length} entries, but not for all classes: ${standIns} stands in${lost}`,
  };
}

function nameOf(name: JsonValue): string | undefined {
  if (typeof name === 'string') return name;
  if (typeof name === 'number') return String(name);
  if (typeof name === 'boolean') return name ? 'True' : 'False';
  return undefined;
}
