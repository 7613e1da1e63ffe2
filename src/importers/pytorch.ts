import { mayBeTorch, readTorch } from '../formats/torch.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { checkpointBeside } from './hugging-face.ts';
import { findFile, type Importer } from './importer.ts';
import { readShards } from './shards.ts';
import { checkpointSource } from './sources.ts';

const SINGLE = 'pytorch_model.bin';
const INDEX = 'pytorch_model.bin.index.json';

/**
 * A Hugging Face folder whose weights are pytorch_model.bin or its shards with their index; any torch.save of weights.
 */
export const pytorch: Importer = {
  name: 'pytorch',
  find: (names) =>
    findFile(names, [SINGLE, INDEX], (name) => /\.(pt|pth|ckpt)$/.test(name) && !TRAINING_STATE.test(name)),
  // A damaged file is known by its name only; what is wrong with it is then said by the reader.
  detect: (head, file) => mayBeTorch(head) || /(^|[/\\])pytorch_model[^/\\]*\.bin(\.index\.json)?$/.test(file.path),
  read: async (file) =>
    checkpointSource(file, (opened) => {
      const notes: string[] = [];
      const readNamed = (part: ModelFile) => readWeights(part, notes);
      const tensors = file.path.endsWith('.index.json') ? readShards(file, readNamed, opened) : readNamed(file);
      const checkpoint = checkpointBeside(file, tensors, 'torch', opened);
      return { ...checkpoint, notes: [...notes, ...checkpoint.notes] };
    }),
};

/** Files that transformers' Trainer keeps beside the weights. */
const TRAINING_STATE = /^(optimizer|scheduler|scaler|rng_state.*|training_args)\.(pt|pth|bin)$/;

function readWeights(file: ModelFile, notes: string[]): ReadonlyMap<string, Tensor> {
  const { tensors, wrappers } = readTorch(file);
  if (wrappers.length > 0)
    notes.push(`${file.path}: weights read from its ${wrappers.join(' > ')}, the rest is left out`);
  return tensors;
}
