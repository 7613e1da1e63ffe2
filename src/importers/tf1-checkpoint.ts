import { MbertError } from '../errors.ts';
import { openPart } from '../formats/parts.ts';
import { bundleIndexName, isBundleIndex, readTensorBundle, SIDE_BY_SIDE } from '../formats/tensor-bundle.ts';
import { type ModelFile, siblingPath } from '../io/files.ts';
import type { Tensor } from '../ir/tensor.ts';
import { checkpointBeside } from './hugging-face.ts';
import type { Importer } from './importer.ts';
import { checkpointSource } from './sources.ts';

/** File that TensorFlow keeps beside checkpoints, which tells the latest of them. */
const STATE_FILE = 'checkpoint';
const STATE_HEAD = /^\s*model_checkpoint_path:/;
const LATEST = /^\s*model_checkpoint_path:\s*"([^"\\]*)"/;

/** Most bytes of a state file, which names every checkpoint that a training run kept. */
const MAX_STATE_BYTES = 2 ** 20;

/** A TF1 checkpoint of google-research's code: model.ckpt.index, model.ckpt.data-…, bert_config.json. */
export const tf1Checkpoint: Importer = {
  name: 'tf1-checkpoint',
  find(names) {
    const indexes = new Set(names.map(bundleIndexName).filter((name) => name !== undefined));
    // A SavedModel's variables are of no use without its graph, and that has an importer of its own.
    indexes.delete('variables.index');
    const [first] = indexes;
    if (first === undefined) return undefined;
    if (indexes.size > 1 && names.includes(STATE_FILE)) return STATE_FILE;
    const last = [...indexes].sort((a, b) => stepOf(a) - stepOf(b)).at(-1) ?? first;
    return names.includes(last) ? last : names.find((name) => bundleIndexName(name) === last);
  },
  detect: (head, file) =>
    isBundleIndex(file) ||
    bundleIndexName(file.path) !== undefined ||
    STATE_HEAD.test(Buffer.from(head).toString('latin1')),
  read: async (file) =>
    checkpointSource(file, (opened) => {
      const index = openIndex(file);
      if (index !== file) opened.push(index);
      const { tensors } = readTensorBundle(index, opened);
      return checkpointBeside(index, withoutSlots(tensors), 'google', opened);
    }),
};

/** Training step at which an index was written: 1000 for `model.ckpt-1000.index`. */
function stepOf(name: string): number {
  return Number(/-(\d+)\.index$/.exec(name)?.[1] ?? -1);
}

/** Opens the index that belongs to a state file or a data file. */
function openIndex(file: ModelFile): ModelFile {
  const base = file.path.split(/[/\\]/).at(-1) ?? '';
  const indexName = base === STATE_FILE ? latestIndex(file) : bundleIndexName(base);
  if (indexName === undefined || indexName === base) return file;
  const indexPath = siblingPath(file.path, indexName);
  return openPart(file, indexName, {
    message: `${indexPath}: is missing, ${base} cannot be read without it`,
    hint: SIDE_BY_SIDE,
  });
}

function latestIndex(file: ModelFile): string {
  const text = Buffer.from(file.read(0, Math.min(file.size, MAX_STATE_BYTES))).toString('latin1');
  const path = LATEST.exec(text)?.[1];
  if (path === undefined) throw new MbertError('MALFORMED', `${file.path}: names no model_checkpoint_path`);
  // Often the absolute path on the machine of the training; the checkpoint itself lies here.
  return `${path.split(/[/\\]/).at(-1)}.index`;
}

/** Names of what optimizers and sessions keep: Adam's and LAMB's moments, moving averages, step counters. */
const SLOT = /\/(adam_[mv]|lamb_[mv]|Adam(_1)?|Momentum|ExponentialMovingAverage)$|^(global_step|beta[12]_power)$/;

function withoutSlots(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  return new Map([...tensors].filter(([name]) => !SLOT.test(name)));
}
