import type { Task } from '../models/index.ts';

/** How the weights of a checkpoint become a graph. */
export interface ModelOptions {
  /** Which head to build. Checkpoints only: a graph has the head that it has. Default: what the checkpoint says. */
  readonly task?: Task | undefined;
  /** Checkpoints only. Default `faithful`: padding is masked as the source's own code masks it. */
  readonly mask?: 'faithful' | 'strict' | undefined;
}
