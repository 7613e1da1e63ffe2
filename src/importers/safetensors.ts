import { isSafetensors, readSafetensors } from '../formats/safetensors.ts';
import { ADAPTER_FILE } from './adapter.ts';
import { checkpointBeside } from './hugging-face.ts';
import { findFile, type Importer } from './importer.ts';
import { readShards } from './shards.ts';
import { checkpointSource } from './sources.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** A Hugging Face folder whose weights are model.safetensors, or its shards with their index. */
export const safetensors: Importer = {
  name: 'safetensors',
  // transformers looks for the names in this order as well.
  find: (names) =>
    findFile(names, [SINGLE, INDEX], (name) => name.endsWith('.safetensors') && !ADAPTER_FILE.test(name)),
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isSafetensors(head, file.size) || /\.safetensors(\.index\.json)?$/.test(file.path),
  read: async (file) =>
    checkpointSource(file, (opened) => {
      const isSharded = file.path.endsWith('.index.json');
      const tensors = isSharded ? readShards(file, readSafetensors, opened) : readSafetensors(file);
      return checkpointBeside(file, tensors, 'torch', opened);
    }),
};
