import { malformed } from '../errors.ts';
import { isObject, type JsonValue, parseJson } from '../formats/json.ts';
import { readMetadata } from '../formats/safetensors.ts';
import { withFile } from '../io/files.ts';
import type { SampleManifest } from '../samples/open-samples.ts';

/** Key under which a file says what texts its weights were made with, step by step: of a checkpoint's metadata, of a graph's properties. */
const KEY = 'mbert.fitted';

/** Places in the order that a file was read in, from 0: the first, and the one behind the last. */
export type Places = readonly [number, number];

/** Texts of a file that weights were made with: what a model gives on them says nothing about others. */
export interface FittedTexts extends SampleManifest {
  /** Places in the file of the texts that weights were fitted to or trained on. Absent for the first `count` of the file. */
  readonly places?: readonly Places[];
  /** Texts that training was watched by, not learnt from: what it ends by and what is kept was chosen on them. */
  readonly watched?: readonly Places[];
}

/** Metadata of a file that says what texts its weights were made with. */
export function fittedMetadata(fitted: readonly FittedTexts[]): { readonly [key: string]: string } {
  return fitted.length === 0 ? {} : { [KEY]: JSON.stringify(fitted) };
}

/**
 * The texts that a model's weights were made with: those that its source says, then those of this call. Throws MALFORMED
 * where the source says something else under that name.
 */
export function fittedTexts(model: {
  /** Path of the file that holds the weights. */
  readonly path: string;
  readonly format: string;
  readonly facts?: ReadonlyMap<string, string> | undefined;
  readonly fitted?: readonly FittedTexts[] | undefined;
}): readonly FittedTexts[] {
  const { path, format, facts, fitted = [] } = model;
  const properties = format === 'checkpoint' ? metadataOf(path) : facts;
  const text = properties?.get(KEY);
  return [...(text === undefined ? [] : listIn(text, `${path}: ${KEY}`)), ...fitted];
}

function metadataOf(weights: string): ReadonlyMap<string, string> | undefined {
  return weights.endsWith('.safetensors') ? withFile(weights, readMetadata) : undefined;
}

function listIn(text: string, what: string): readonly FittedTexts[] {
  const list = parseJson(text, what);
  if (!Array.isArray(list)) throw malformed(what, 'is no list');
  return list.map((each: JsonValue) => fittedIn(each, what));
}

function fittedIn(value: JsonValue, what: string): FittedTexts {
  if (isObject(value)) {
    const [source, sha256, count, seed] = ['source', 'sha256', 'count', 'seed'].map((key) => value.get(key));
    const [places, watched] = ['places', 'watched'].map((key) => value.get(key));
    const isSeed = seed === null || typeof seed === 'number';
    if (typeof source === 'string' && typeof sha256 === 'string' && isCount(count) && isSeed) {
      if ((places === undefined || isPlaces(places)) && (watched === undefined || isPlaces(watched)))
        return { source, sha256, count, seed, ...(places && { places }), ...(watched && { watched }) };
    }
  }
  throw malformed(what, 'does not say which texts of which file');
}

function isCount(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPlaces(value: JsonValue): value is readonly Places[] {
  return (
    Array.isArray(value) &&
    value.every((pair: JsonValue) => Array.isArray(pair) && pair.length === 2 && pair.every(isCount) && inOrder(pair))
  );
}

function inOrder([first, behind]: readonly JsonValue[]): boolean {
  return (first as number) <= (behind as number);
}

/** Numbers as places, in rising order. */
export function placesOf(numbers: readonly number[]): readonly Places[] {
  const places: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = places.at(-1);
    if (last?.[1] === number) last[1]++;
    else places.push([number, number + 1]);
  }
  return places;
}
