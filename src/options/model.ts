import type { Task } from '../models/index.ts';

/** How the weights of a checkpoint become a graph. */
export interface ModelOptions {
  /** Head to build, for checkpoints: a graph has the head that it has. Default: what the checkpoint says. */
  readonly task?: Task | undefined;
  /**
   * How padding is masked, for checkpoints. `faithful`: as the source's own code does it; `strict`: excluded entirely.
   * Default `faithful`.
   */
  readonly mask?: 'faithful' | 'strict' | undefined;
}
