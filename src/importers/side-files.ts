import { basename, dirname, join, resolve } from 'node:path';
import { MbertError } from '../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../formats/json.ts';
import type { NamedBytes } from '../formats/tokenizer-files.ts';
import { decodeText } from '../io/bytes.ts';
import { type ModelFile, openFile, siblingPath } from '../io/files.ts';
import { refuseLeavingLink } from '../io/inside-folder.ts';

/** Most bytes of a side file: the largest vocabulary in use (a million words of many scripts) is below 20 MB. */
const MAX_SIDE_FILE_BYTES = 64 * 2 ** 20;

/** Folder that the hub and optimum keep graphs in: config and tokenizer are in the one above. */
const GRAPH_FOLDER = 'onnx';

/** Reads a small file that lies beside a model, undefined where there is none. */
export function readSideFile(modelPath: string, name: string): NamedBytes | undefined {
  const path = siblingPath(modelPath, name);
  return readSmall(path) ?? (isInGraphFolder(path) ? readSmall(join(dirname(path), '..', name)) : undefined);
}

function isInGraphFolder(path: string): boolean {
  return basename(dirname(resolve(path))) === GRAPH_FOLDER;
}

/** Opens a file of a model's folder, undefined where there is none. */
export function openIfThere(path: string): ModelFile | undefined {
  refuseLeavingLink(path, path);
  try {
    return openFile(path);
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'NOT_FOUND') return undefined;
    throw cause;
  }
}

/** Reads a small JSON file, undefined where there is none. */
export function readJson(path: string): JsonValue | undefined {
  const file = readSmall(path);
  return file && parseSideFile(file);
}

function readSmall(path: string): NamedBytes | undefined {
  const file = openIfThere(path);
  if (file === undefined) return undefined;
  try {
    if (file.size > MAX_SIDE_FILE_BYTES) {
      throw new MbertError('MALFORMED', `${path}: ${file.size} bytes are over ${MAX_SIDE_FILE_BYTES}`);
    }
    return { what: path, bytes: file.read(0, file.size) };
  } finally {
    file.close();
  }
}

/** Parses a side file. Throws MALFORMED where it is no JSON. */
export function parseSideFile({ what, bytes }: NamedBytes): JsonValue {
  return parseJson(decodeText(bytes, what), what);
}

/** Parses a side file. Throws MALFORMED where it is no JSON object. */
export function parseObject(file: NamedBytes): JsonObject {
  const value = parseSideFile(file);
  if (!isObject(value)) throw new MbertError('MALFORMED', `${file.what}: is ${jsonText(value)}, not a JSON object`);
  return value;
}
