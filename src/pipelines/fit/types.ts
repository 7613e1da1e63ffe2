import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import type { Run } from '../../options/run.ts';
import type { Target } from '../../passes/index.ts';
import type { SplitEmbedding } from '../../passes/split-embedding.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import type { TransferLosses } from '../evaluate/transfer.ts';

/** A model as passes that change its function left it. */
export interface ChangedModel {
  readonly model: OpenedModel;
  /** What was changed and what that costs; undefined where no such pass was asked for. */
  readonly fit: FitReport | undefined;
}

export interface ChangeOptions {
  readonly passes: PassChoice;
  /** What will be written: operations are counted for these. */
  readonly targets: readonly Target[];
  readonly evidence: EvidenceOptions;
  /** In place of the model's own. */
  readonly tokenizer: TokenizerFiles | undefined;
  readonly run: Run;
}

/** What passes that change the function have changed, and what that costs and brings. */
export interface FitReport {
  readonly passes: readonly {
    readonly name: string;
    readonly rewrites: number;
    readonly declined: readonly string[];
  }[];
  /** Linears whose weights were fitted anew. */
  readonly refitted: number;
  readonly embeddings: readonly SplitEmbedding[];
  /** Norms and activations that --max-drop left as they are. */
  readonly kept: readonly string[];
  readonly distillation: Distillation | undefined;
  readonly calibration: SampleSets['manifest'];
  /** The changed model beside the original, on texts that it was not fitted to; undefined where there are none. */
  readonly heldOut: HeldOut | undefined;
  /** The losses of layer-wise knowledge transfer, on a few of those texts; undefined where nothing was fitted or no layers were found. */
  readonly transfer: Transfer | undefined;
  readonly operations: readonly Operations[];
  /** What was tried to hold --max-drop; undefined where the first try did, or no limit was given. */
  readonly pareto: readonly FitRow[] | undefined;
  /** Why the answer is no; empty where --max-drop holds. */
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

/** Against the original: with norms and activations replaced as such, and as fitted. */
export interface Transfer {
  readonly before: TransferLosses;
  readonly after: TransferLosses;
}

/** Training behind the fit. */
export interface Distillation {
  readonly steps: number;
  /** Texts of a step. */
  readonly batch: number;
  /** SQNR of the answers in dB against the original, on held-out texts; undefined where there are none. */
  readonly trial: { readonly samples: number; readonly before: number; readonly after: number } | undefined;
  /** False where held-out texts were better off before. */
  readonly isKept: boolean;
}

export interface HeldOut {
  readonly samples: number;
  /** The share of equal answers, 0 … 1; for features the mean cosine. */
  readonly agreement: number;
  readonly sqnrDb: number;
  /** With labels: the share of right answers, 0 … 1. */
  readonly accuracy: { readonly original: number; readonly changed: number } | undefined;
  /** What --max-drop limits, in percentage points: of accuracy with labels, else of agreement. */
  readonly drop: number;
}

/** What one run takes, in multiply-adds of a matrix product: see `countOperations`. Default passes have run on both. */
export interface Operations {
  readonly target: Target;
  /** Tokens of the sequence that was counted for. */
  readonly sequence: number;
  readonly original: number;
  readonly changed: number;
  /** original / changed. */
  readonly speedup: number;
}

/** One try to hold --max-drop. */
export interface FitRow {
  /** How many norms and activations stay as they are. */
  readonly kept: number;
  readonly norms: number;
  readonly activations: number;
  /** By counting, for the first target. */
  readonly speedup: number;
  readonly heldOut: HeldOut;
  readonly chosen: boolean;
}
