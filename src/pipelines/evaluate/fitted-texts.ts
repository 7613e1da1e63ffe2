import { malformed } from '../../errors.ts';
import { isObject, type JsonValue, parseJson } from '../../formats/json.ts';
import { readMetadata } from '../../formats/safetensors.ts';
import { withFile } from '../../io/files.ts';
import type { SampleFile, SampleManifest, TokenSample } from '../../samples/open-samples.ts';

/** Key of a checkpoint's metadata under which it says what texts its weights were fitted to, step by step. */
const KEY = 'mbert.fitted';

/** Key of a model file's properties that says, among other things, what texts passes were fitted to. */
const FILE_KEY = 'mbert.fit';

/** Metadata for a checkpoint that was fitted to texts: what it gives on them says nothing about others. */
export function fittedMetadata(fitted: readonly SampleManifest[]): { readonly [key: string]: string } {
  return fitted.length === 0 ? {} : { [KEY]: JSON.stringify(fitted) };
}

/**
 * Reads what texts a model was fitted to: of a checkpoint from its weights file, of a graph from its properties. Throws
 * MALFORMED where these are no manifests.
 */
export function readFitted(source: {
  /** Path of a checkpoint's weights; undefined for a graph. */
  readonly weights: string | undefined;
  readonly path: string;
  readonly facts?: ReadonlyMap<string, string> | undefined;
}): readonly SampleManifest[] {
  const { weights, path, facts } = source;
  if (weights !== undefined) {
    const text = weights.endsWith('.safetensors') ? withFile(weights, readMetadata).get(KEY) : undefined;
    const list = text === undefined ? [] : parseJson(text, `${weights}: ${KEY}`);
    if (!Array.isArray(list)) throw malformed(`${weights}: ${KEY}`, 'is no list');
    return list.map((each: JsonValue) => manifestIn(each, `${weights}: ${KEY}`));
  }
  const text = facts?.get(FILE_KEY);
  const properties = text === undefined ? undefined : parseJson(text, `${path}: ${FILE_KEY}`);
  const calibration = isObject(properties) ? properties.get('calibration') : undefined;
  return calibration === undefined ? [] : [manifestIn(calibration, `${path}: ${FILE_KEY}`)];
}

function manifestIn(value: JsonValue, what: string): SampleManifest {
  if (isObject(value)) {
    const [source, sha256, count, seed] = ['source', 'sha256', 'count', 'seed'].map((key) => value.get(key));
    const isSeed = seed === null || typeof seed === 'number';
    if (typeof source === 'string' && typeof sha256 === 'string' && Number.isSafeInteger(count) && isSeed)
      return { source, sha256, count: count as number, seed };
  }
  throw malformed(what, 'does not say which texts of which file');
}

/**
 * Finds the samples of a file that a model was fitted to, by the file's hash. `open` opens it with its samples in the
 * order of a seed; `others` are the manifests of other files.
 */
export function fittedSamples(
  manifests: readonly SampleManifest[],
  open: (seed: number | undefined) => SampleFile,
): { readonly samples: readonly TokenSample[]; readonly others: readonly SampleManifest[] } {
  const samples: TokenSample[] = [];
  const others: SampleManifest[] = [];
  for (const manifest of manifests) {
    const file = open(manifest.seed ?? undefined);
    if (file.sha256 === manifest.sha256) samples.push(...file.take(0, manifest.count).samples);
    else others.push(manifest);
  }
  return { samples, others };
}
