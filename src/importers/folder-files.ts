import { basename, dirname, join } from 'node:path';
import { MbertError } from '../errors.ts';
import { type JsonValue, parseJson } from '../formats/json.ts';
import { decodeText } from '../io/bytes.ts';
import { type ModelFile, openFile, siblingPath } from '../io/files.ts';

/** Most bytes of a config: the largest ones list some thousand classes. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20;

/** Opens a file, undefined where there is none. */
export function openIfThere(path: string): ModelFile | undefined {
  try {
    return openFile(path);
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'NOT_FOUND') return undefined;
    throw cause;
  }
}

/** Reads a small JSON file, undefined where there is none. */
export function readJson(path: string): JsonValue | undefined {
  const file = openIfThere(path);
  if (file === undefined) return undefined;
  try {
    if (file.size > MAX_CONFIG_BYTES) {
      throw new MbertError('MALFORMED', `${path}: ${file.size} bytes are over ${MAX_CONFIG_BYTES}`);
    }
    return parseJson(decodeText(file.read(0, file.size), path), path);
  } finally {
    file.close();
  }
}

/** Folder in which hubs keep the graphs of a model whose config and tokenizer lie above it. */
const GRAPH_FOLDER = 'onnx';

/** A graph's file as if it lay where its config and tokenizer do: in its own folder, or in the one above. */
export function atHome(file: ModelFile): ModelFile {
  const folder = dirname(file.path);
  if (basename(folder) !== GRAPH_FOLDER || readJson(join(folder, 'config.json')) !== undefined) return file;
  const path = join(folder, '..', basename(file.path));
  return { ...file, path, sibling: (name) => openFile(siblingPath(path, name)) };
}
