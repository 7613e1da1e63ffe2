import { MbertError } from '../errors.ts';
import { isObject, jsonText, parseJson } from '../formats/json.ts';
import { decodeText } from '../io/bytes.ts';
import { type ModelFile, siblingPath } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';

/** An index of the largest public models is 100 KB. */
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/** Every shard stays open while the model is read; systems allow a process 1,024 files by default. */
const MAX_SHARDS = 512;

/**
 * Reads the tensors of a sharded checkpoint: `index` is Hugging Face's `*.index.json`, whose weight_map says which file
 * holds which tensor. Index and shards must agree in both directions. The opened shards are added to `opened`.
 */
export function readShards(
  index: ModelFile,
  readShard: (file: ModelFile) => ReadonlyMap<string, Tensor>,
  opened: ModelFile[],
): ReadonlyMap<string, Tensor> {
  const shardOf = readWeightMap(index);
  const shards = [...new Set(shardOf.values())].sort();
  if (shards.length > MAX_SHARDS) throw malformed(index, `names ${shards.length} shards, more than ${MAX_SHARDS}`);
  // All names are checked before the first file is opened.
  for (const shard of shards) siblingPath(index.path, shard);
  const tensors = new Map<string, Tensor>();
  for (const shard of shards) {
    const file = openShard(index, shard);
    opened.push(file);
    for (const [name, tensor] of readShard(file)) {
      const expected = shardOf.get(name);
      if (expected === undefined) throw malformed(file, `${name}: is not listed in ${index.path}`);
      if (expected !== shard) throw malformed(index, `${name}: is said to be in ${expected}, but ${shard} holds it`);
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name)) throw malformed(index, `${name}: is said to be in ${shard}, which does not hold it`);
  }
  return tensors;
}

function readWeightMap(index: ModelFile): ReadonlyMap<string, string> {
  if (index.size > MAX_INDEX_BYTES) throw malformed(index, `${index.size} bytes are over ${MAX_INDEX_BYTES}`);
  const json = parseJson(decodeText(index.read(0, index.size), index.path), index.path);
  const weightMap = isObject(json) ? json.get('weight_map') : undefined;
  if (!isObject(weightMap)) throw malformed(index, 'has no weight_map object');
  const shardOf = new Map<string, string>();
  for (const [name, shard] of weightMap) {
    if (typeof shard !== 'string') throw malformed(index, `${name}: shard ${jsonText(shard)} is not a file name`);
    shardOf.set(name, shard);
  }
  return shardOf;
}

function openShard(index: ModelFile, shard: string): ModelFile {
  try {
    return index.sibling(shard);
  } catch (cause) {
    if (!(cause instanceof MbertError) || cause.code !== 'NOT_FOUND') throw cause;
    throw new MbertError('NOT_FOUND', `${index.path}: names ${shard}, which does not exist`, {
      hint: 'fetch the missing part of the model into the same folder',
      cause,
    });
  }
}

function malformed(file: ModelFile, problem: string): MbertError {
  return new MbertError('MALFORMED', `${file.path}: ${problem}`);
}
