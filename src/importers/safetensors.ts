import { isSafetensors, readSafetensors } from '../formats/safetensors.ts';
import type { ModelFile } from '../io/files.ts';
import { checkpointBeside } from './hugging-face.ts';
import type { Importer } from './importer.ts';
import { readShards } from './shards.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** A Hugging Face folder whose weights are model.safetensors, or its shards with their index. */
export const safetensors: Importer = {
  name: 'safetensors',
  // transformers looks for the names in this order as well.
  find(names) {
    const known = [SINGLE, INDEX].find((name) => names.includes(name));
    if (known !== undefined) return known;
    const others = names.filter((name) => name.endsWith('.safetensors'));
    return others.length === 1 ? others[0] : undefined;
  },
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => isSafetensors(head, file.size) || /\.safetensors(\.index\.json)?$/.test(file.path),
  async read(file) {
    const opened: ModelFile[] = [file];
    const close = () => {
      for (const each of opened) each.close();
    };
    try {
      const isSharded = file.path.endsWith('.index.json');
      const tensors = isSharded ? readShards(file, readSafetensors, opened) : readSafetensors(file);
      return { yields: 'checkpoint', checkpoint: checkpointBeside(file, tensors, close, 'torch') };
    } catch (cause) {
      close();
      throw cause;
    }
  },
};
