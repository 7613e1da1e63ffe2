import type { Graph } from '../ir/graph.ts';
import type { Task } from '../models/index.ts';
import type { Target } from '../passes/index.ts';

/** How a source becomes a graph: what the user may fix of its shapes. */
export interface ShapeOptions {
  readonly task?: Task | undefined;
  /** Default: dynamic for ONNX, for TFLite 384 (question answering) or 128, at most the model's own maximum. */
  readonly sequenceLength?: number | 'dynamic' | undefined;
  /** Default 1. */
  readonly batch?: number | 'dynamic' | undefined;
  /** Multiple choice only. Default: dynamic for ONNX, 4 for TFLite. */
  readonly choices?: number | 'dynamic' | undefined;
}

export interface OpenOptions {
  /** Checkpoints only: a graph has the head that it has. */
  readonly task?: Task | undefined;
  /** Checkpoints only. Default: faithful, as the source's own code masks. */
  readonly mask?: 'faithful' | 'strict' | undefined;
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
  readonly vocabulary: Uint8Array | undefined;
  /** From the tokenizer's own config; BERT's default is true. */
  readonly lowerCase: boolean;
  /** The source's path where a runtime can run it as it is. */
  readonly runnable?: string | undefined;
  /** Names of passes that its graphs have behind them already. */
  readonly applied?: readonly string[] | undefined;
  readonly warnings: readonly string[];
  readonly unused: readonly string[];
  close(): void;
}

/** Question answering gets the length that Task Library fixes; 128 is what BERT's sentence tasks were trained with. */
const QA_LENGTH = 384;
const SENTENCE_LENGTH = 128;

/** What `--sequence-length` is by default. */
export function defaultLength(target: Target, task: Task | undefined, maxPositions: number): number | 'dynamic' {
  if (target === 'onnx') return 'dynamic';
  return Math.min(task === 'qa' ? QA_LENGTH : SENTENCE_LENGTH, maxPositions);
}
