import type { Checkpoint, Origin } from '../../formats/checkpoint.ts';
import { nameGoogle } from './google.ts';
import { nameKeras } from './keras.ts';
import type { NamedCheckpoint } from './table.ts';

export type { NamedCheckpoint } from './table.ts';

const NAMINGS: { readonly [O in Origin]: (checkpoint: Checkpoint) => NamedCheckpoint } = {
  torch: (checkpoint) => ({ ...checkpoint, fileName: (name) => name }),
  keras: nameKeras,
  google: nameGoogle,
};

/** Puts a checkpoint under the names of transformers' PyTorch modules, whichever code wrote it. */
export function underTorchNames(checkpoint: Checkpoint): NamedCheckpoint {
  return NAMINGS[checkpoint.origin](checkpoint);
}
