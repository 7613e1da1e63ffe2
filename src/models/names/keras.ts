import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { type NamedCheckpoint, turned } from './table.ts';

/** PyTorch's names for the last part of a Keras weight's path. */
const LEAVES: ReadonlyMap<string, string> = new Map([
  ['kernel', 'weight'],
  ['embeddings', 'weight'],
  ['weight', 'weight'],
  ['gamma', 'weight'],
  ['bias', 'bias'],
  ['beta', 'bias'],
]);

/**
 * Puts a Keras checkpoint of transformers under the names of its PyTorch modules: one rule for all architectures, since
 * transformers' Keras layers have the names of its modules.
 * `mobilebert/tf_mobile_bert_model/mobilebert/encoder/layer_._0/ffn.1/output/dense/kernel:0`
 * -> `mobilebert.encoder.layer.0.ffn.1.output.dense.weight`.
 */
export function nameKeras(checkpoint: Checkpoint): NamedCheckpoint {
  const tensors = new Map<string, Tensor>();
  const fileNames = new Map<string, string>();
  for (const [name, tensor] of checkpoint.tensors) {
    const torch = torchName(name);
    const ours = tensors.has(torch) ? name : torch;
    tensors.set(ours, name.endsWith('/kernel:0') ? turned(tensor) : tensor);
    fileNames.set(ours, name);
  }
  return { ...checkpoint, tensors, fileName: (name) => fileNames.get(name) ?? name };
}

function torchName(name: string): string {
  // The first part is the group in the file, the second the model's own name.
  const [, , ...path] = name.replace(/:\d+$/, '').split('/');
  const leaf = LEAVES.get(path.pop() ?? '');
  if (leaf === undefined || path.length === 0) return name;
  const modules = path.map((part) => part.replace(/^.*___/, '').replace('_._', '.'));
  return [...modules, leaf].join('.');
}
