import type { Task } from '../models/index.ts';

/** Options for building a graph of a checkpoint's weights. */
export interface ModelOptions {
  /** Head to build, for checkpoints: a graph has the head that it has. Default: what the checkpoint says. */
  readonly task?: Task | undefined;
  /** The model that an adapter was trained on, where the source is one. */
  readonly base?: string | undefined;
  /**
   * Masking of padding, for checkpoints. `faithful`: as the source's own code does it; `strict`: excluded entirely.
   * Default `faithful`.
   */
  readonly mask?: 'faithful' | 'strict' | undefined;
}
