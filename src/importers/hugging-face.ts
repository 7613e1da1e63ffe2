import { MbertError } from '../errors.ts';
import type { Checkpoint, Origin } from '../formats/checkpoint.ts';
import { isObject, type JsonObject, jsonText, parseJson } from '../formats/json.ts';
import { decodeText } from '../io/bytes.ts';
import { type ModelFile, siblingPath } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { withSurroundings } from './surroundings.ts';

/** Most bytes of a side file: the largest vocabulary in use (a million words of many scripts) is below 20 MB. */
const MAX_SIDE_FILE_BYTES = 64 * 2 ** 20;

/** Names of the config, the likeliest first. */
const CONFIG_NAMES: { readonly [O in Origin]: readonly [string, ...string[]] } = {
  torch: ['config.json'],
  keras: ['config.json'],
  google: ['bert_config.json', 'config.json'],
};

/** Joins weights with the config and the tokenizer's files that lie beside them. */
export function checkpointBeside(
  weights: ModelFile,
  tensors: ReadonlyMap<string, Tensor>,
  origin: Origin,
  opened: ModelFile[],
): Omit<Checkpoint, 'close'> {
  const names = CONFIG_NAMES[origin];
  const config = readFirst(weights, names);
  if (config === undefined) {
    throw new MbertError('NOT_FOUND', `${weights.path}: there is no ${names[0]} beside it`, {
      hint: `put the ${names[0]} of the model into the same folder: the weights alone do not say how they are used`,
    });
  }
  const configPath = siblingPath(weights.path, config.name);
  const tokenizerConfig = readSideFile(weights, 'tokenizer_config.json');
  const bare = {
    path: weights.path,
    tensors: renameLegacy(tensors),
    configPath,
    config: parseObject(config.bytes, configPath),
  };
  return {
    ...bare,
    notes: [],
    ...(origin === 'torch' && withSurroundings(bare, opened)),
    origin,
    vocabulary: readSideFile(weights, 'vocab.txt'),
    tokenizerConfig:
      tokenizerConfig && parseObject(tokenizerConfig, siblingPath(weights.path, 'tokenizer_config.json')),
  };
}

/** Renames gamma and beta, as checkpoints of before 2019 (bert-base-uncased is one) call a norm's weight and bias. */
function renameLegacy(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const renamed = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) {
    const modern = name.replace(/(LayerNorm)\.gamma$/, '$1.weight').replace(/(LayerNorm)\.beta$/, '$1.bias');
    renamed.set(tensors.has(modern) ? name : modern, tensor);
  }
  return renamed;
}

/** Reads the first of several small files that there is. */
function readFirst(weights: ModelFile, names: readonly string[]): { name: string; bytes: Uint8Array } | undefined {
  for (const name of names) {
    const bytes = readSideFile(weights, name);
    if (bytes !== undefined) return { name, bytes };
  }
  return undefined;
}

/** Reads the bytes of a small file beside the weights, undefined where there is none. */
export function readSideFile(weights: ModelFile, name: string): Uint8Array | undefined {
  let file: ModelFile;
  try {
    file = weights.sibling(name);
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'NOT_FOUND') return undefined;
    throw cause;
  }
  try {
    if (file.size > MAX_SIDE_FILE_BYTES) {
      throw new MbertError('MALFORMED', `${file.path}: ${file.size} bytes are over ${MAX_SIDE_FILE_BYTES}`);
    }
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}

function parseObject(bytes: Uint8Array, path: string): JsonObject {
  const value = parseJson(decodeText(bytes, path), path);
  if (!isObject(value)) throw new MbertError('MALFORMED', `${path}: is ${jsonText(value)}, not a JSON object`);
  return value;
}
