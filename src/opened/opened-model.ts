import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import type { Graph } from '../ir/graph.ts';
import type { Task } from '../models/index.ts';
import type { ModelOptions } from '../options/model.ts';
import type { ShapeOptions } from '../options/shape.ts';
import type { Target } from '../passes/index.ts';

export interface OpenOptions extends ModelOptions {
  /** Graphs only. Default true: high-level ops are found in them. */
  readonly raise?: boolean | undefined;
}

/** A model ready for passes and exporters. */
export interface OpenedModel {
  /** A new graph at each call, as passes change what they run on. */
  build(target: Target, shapes?: ShapeOptions): Graph;
  /** A new graph as the source has it, with symbols for what it does not fix. */
  reference(): Graph;
  /** Undefined where a graph's outputs do not tell. */
  readonly task: Task | undefined;
  /** The family of a checkpoint, the name of a graph. */
  readonly architecture: string;
  readonly maxPositions: number;
  readonly labels: readonly string[] | undefined;
  readonly tokenizer: TokenizerFiles;
  /** Id of padding, as the model's config has it: some models tell padding by it. */
  readonly pad: number;
  /** The source's path where a runtime can run it as it is. */
  readonly runnable?: string | undefined;
  /** Names of passes that its graphs have behind them already. */
  readonly applied?: readonly string[] | undefined;
  readonly warnings: readonly string[];
  readonly unused: readonly string[];
  close(): void;
}
