import { malformed } from '../errors.ts';
import { isObject, jsonText, parseJson } from '../formats/json.ts';
import { MAX_PARTS, openPart } from '../formats/parts.ts';
import { decodeText } from '../io/bytes.ts';
import { type ModelFile, siblingPath } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';

/** Most bytes of an index: the largest public models' have 100 KB. */
const MAX_INDEX_BYTES = 64 * 2 ** 20;

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
  if (shards.length > MAX_PARTS) throw malformed(index.path, `names ${shards.length} shards, more than ${MAX_PARTS}`);
  // All names are checked before the first file is opened.
  for (const shard of shards) siblingPath(index.path, shard);
  const tensors = new Map<string, Tensor>();
  for (const shard of shards) {
    const file = openPart(index, shard);
    opened.push(file);
    for (const [name, tensor] of readShard(file)) {
      const expected = shardOf.get(name);
      if (expected === undefined) throw malformed(file.path, `${name}: is not listed in ${index.path}`);
      if (expected !== shard)
        throw malformed(index.path, `${name}: is said to be in ${expected}, but ${shard} holds it`);
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name)) throw malformed(index.path, `${name}: is said to be in ${shard}, which does not hold it`);
  }
  return tensors;
}

function readWeightMap(index: ModelFile): ReadonlyMap<string, string> {
  if (index.size > MAX_INDEX_BYTES) throw malformed(index.path, `${index.size} bytes are over ${MAX_INDEX_BYTES}`);
  const json = parseJson(decodeText(index.read(0, index.size), index.path), index.path);
  const weightMap = isObject(json) ? json.get('weight_map') : undefined;
  if (!isObject(weightMap)) throw malformed(index.path, 'has no weight_map object');
  const shardOf = new Map<string, string>();
  for (const [name, shard] of weightMap) {
    if (typeof shard !== 'string') throw malformed(index.path, `${name}: shard ${jsonText(shard)} is not a file name`);
    shardOf.set(name, shard);
  }
  return shardOf;
}
