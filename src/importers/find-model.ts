import { basename, dirname, join } from 'node:path';
import { listNames, MbertError } from '../errors.ts';
import { decodeText } from '../io/bytes.ts';
import { listFolder, listSubfolders, readWhole } from '../io/files.ts';
import { ADAPTER_CONFIG } from './adapter.ts';
import type { Importer } from './importer.ts';
import { encoderFolder, MODULES_FILE } from './module-chain.ts';

/** A model that a folder holds. */
export interface FoundModel {
  readonly path: string;
  readonly importer: Importer;
  /** Choices that the search made between several files or folders, each a line for the user. */
  readonly notes: readonly string[];
}

/** Content of a folder: a model of its own, or a LoRA adapter whose base model is elsewhere. */
export type FolderContent = FoundModel | { readonly adapter: string };

/** Deepest search: a hub's cache has a model two folders down, `snapshots/<hash>/`. */
const MAX_DEPTH = 2;

/**
 * Finds the model of a folder: in itself, else in the only folder below that has one. Where it holds several formats, the
 * first importer's is taken and the others are told. Throws UNKNOWN_FORMAT for none or several.
 */
export function findModel(folder: string, importers: readonly Importer[], depth = 0): FolderContent {
  const { names } = listFolder(folder);
  const found = importers.flatMap((importer) => {
    const name = importer.find(names);
    return name === undefined ? [] : [{ importer, name }];
  });
  const [first, ...others] = found;
  if (first !== undefined) {
    const { importer, name } = first;
    const rest = others.map((other) => other.name);
    const notes =
      rest.length === 0
        ? []
        : [`${folder}: ${name} is read, ${listNames(rest)} beside it ${rest.length > 1 ? 'are' : 'is'} not`];
    return { path: join(folder, name), importer, notes };
  }
  if (names.includes(ADAPTER_CONFIG)) return { adapter: folder };
  const below = depth < MAX_DEPTH ? (namedBelow(folder, names) ?? foldersBelow(folder, importers)) : [];
  const [only, ...more] = below;
  if (only !== undefined && more.length === 0) {
    const content = findModel(join(folder, only), importers, depth + 1);
    if ('adapter' in content) return content;
    return { ...content, notes: [`${folder}: the model in its ${only} is read`, ...content.notes] };
  }
  const known = `known formats: ${importers.map(({ name }) => name).join(', ')}`;
  if (only === undefined) {
    throw new MbertError('UNKNOWN_FORMAT', `${folder}: holds no model that mbert knows`, { hint: known });
  }
  throw new MbertError('UNKNOWN_FORMAT', `${folder}: holds no model itself, but ${listNames(below)} do`, {
    hint: `name one of them: ${join(folder, more.at(-1) as string)}`,
  });
}

/** The folder that the files of this one name: the encoder's of sentence-transformers, the main revision of a hub's cache. */
function namedBelow(folder: string, names: readonly string[]): readonly string[] | undefined {
  const encoder = names.includes(MODULES_FILE) ? encoderFolder(folder) : undefined;
  if (encoder !== undefined && names.includes(encoder)) return [encoder];
  if (basename(folder) !== 'snapshots') return undefined;
  const main = join(dirname(folder), 'refs', 'main');
  const hash = listFolder(dirname(folder)).names.includes('refs') ? readRef(main) : undefined;
  return hash !== undefined && names.includes(hash) ? [hash] : undefined;
}

function readRef(path: string): string | undefined {
  try {
    return decodeText(readWhole(path), path).trim();
  } catch (cause) {
    if (cause instanceof MbertError) return undefined;
    throw cause;
  }
}

/** The folders below that hold a model, or a hub's snapshots of one. */
function foldersBelow(folder: string, importers: readonly Importer[]): readonly string[] {
  return listSubfolders(folder).filter((name) => {
    if (name === 'snapshots') return true;
    const { names } = listFolder(join(folder, name));
    return names.includes(ADAPTER_CONFIG) || importers.some((importer) => importer.find(names) !== undefined);
  });
}

/** Names of models on a hub: an owner and a name, or a name alone for models that are older than owners (bert-base-uncased). */
const HUB_NAME = /^(?:[\w-][\w.-]*\/)?[\w-][\w.-]*$/;

/** Ends of file names that models have: what ends so is a path that is wrong. A version (`bge-small-en-v1.5`) is none. */
const FILE_END = /\.(?:onnx|tflite|safetensors|bin|pth?|ckpt|h5|hdf5|keras|pb|json|index|zip|npz)$/i;

/** The refusal of a path that is not there, with the way to fetch what could be a model's name. */
export function notThere(path: string, cause: MbertError): MbertError {
  if (!HUB_NAME.test(path) || FILE_END.test(path)) return cause;
  const name = path.slice(path.indexOf('/') + 1);
  return new MbertError(cause.code, cause.message, {
    hint: `fetch a model of the Hugging Face hub first: hf download ${path} --local-dir ${name}`,
    cause,
  });
}
