import type { Checkpoint } from '../../formats/checkpoint.ts';
import { type Tensor, transposed } from '../../ir/tensor.ts';

/**
 * Names of one weight, a framework's and that of transformers' PyTorch module; `*` stands for the number of a block.
 */
export interface NameRow {
  readonly theirs: string;
  readonly ours: string;
  /** True for a matrix [in, out] where ours is [out, in]. */
  readonly isTurned?: boolean;
}

/** A checkpoint whose weights have the names and layouts of transformers' PyTorch modules. */
export interface NamedCheckpoint extends Checkpoint {
  /** Name that the file itself has for a weight, for messages. */
  fileName(name: string): string;
}

/** Rows of a Keras or TF1 dense layer. */
export function dense(theirs: string, ours: string): NameRow[] {
  return [
    { theirs: `${theirs}/kernel`, ours: `${ours}.weight`, isTurned: true },
    { theirs: `${theirs}/bias`, ours: `${ours}.bias` },
  ];
}

/** Puts tensors under our names, with kernels turned; a name that is in no row stays as it is. */
export function renameTensors(
  tensors: ReadonlyMap<string, Tensor>,
  rows: readonly NameRow[],
): { readonly tensors: ReadonlyMap<string, Tensor>; fileName(name: string): string } {
  const byTheirs = new Map(rows.map((row) => [row.theirs, row]));
  const byOurs = new Map(rows.map((row) => [row.ours, row]));
  const renamed = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) {
    const row = byTheirs.get(templateOf(name));
    if (row === undefined) renamed.set(name, tensor);
    else renamed.set(fill(row.ours, name), row.isTurned ? turned(tensor) : tensor);
  }
  return {
    tensors: renamed,
    fileName(name) {
      const row = byOurs.get(templateOf(name));
      return row === undefined ? name : fill(row.theirs, name);
    },
  };
}

/** Turns a kernel [in, out] to a weight [out, in]; what is no matrix stays, so that its shape is reported as it is. */
export function turned(tensor: Tensor): Tensor {
  return tensor.shape.length === 2 ? transposed(tensor) : tensor;
}

/** Numbers of layers and of the networks within them: `layer_0/ffn_layer_1/`, `layer.0.ffn.1.`. */
const NUMBER = /(?<=layer_|\.)\d+(?=[./])/g;

function templateOf(name: string): string {
  return name.replace(NUMBER, '*');
}

/** Puts the numbers of `name` in place of a template's stars. */
function fill(template: string, name: string): string {
  const numbers = name.match(NUMBER) ?? [];
  let next = 0;
  return template.replace(/\*/g, () => numbers[next++] ?? '*');
}
