import { MbertError } from '../errors.ts';
import type { Checkpoint, Origin } from '../formats/checkpoint.ts';
import type { NamedBytes } from '../formats/tokenizer-files.ts';
import type { ModelFile } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { parseObject, readSideFile } from './side-files.ts';
import { withSurroundings } from './surroundings.ts';
import { tokenizerFilesBeside } from './tokenizer-files.ts';

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
  const config = readFirst(weights.path, names);
  if (config === undefined) {
    throw new MbertError('NOT_FOUND', `${weights.path}: there is no ${names[0]} beside it`, {
      hint: `put the ${names[0]} of the model into the same folder: the weights alone do not say how they are used`,
    });
  }
  const bare = {
    path: weights.path,
    tensors: renameLegacy(tensors),
    configPath: config.what,
    config: parseObject(config),
  };
  return {
    ...bare,
    notes: [],
    ...(origin === 'torch' && withSurroundings(bare, opened)),
    origin,
    tokenizer: tokenizerFilesBeside(weights.path),
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
function readFirst(path: string, names: readonly string[]): NamedBytes | undefined {
  for (const name of names) {
    const file = readSideFile(path, name);
    if (file !== undefined) return file;
  }
  return undefined;
}
