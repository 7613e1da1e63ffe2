import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { EmbeddingAgreement } from '../../metrics/embeddings.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import type { Run } from '../../options/run.ts';
import type { Target } from '../../passes/index.ts';
import type { PrunedGroup } from '../../passes/prune/prune-plan.ts';
import type { SplitEmbedding } from '../../passes/split-embedding.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import type { AgreementOf } from '../evaluate/agreement.ts';
import type { TransferLosses } from '../evaluate/transfer.ts';
import type { CurvePoint } from '../training/types.ts';

/** A model after passes that change its function. */
export interface ChangedModel {
  readonly model: OpenedModel;
  /** Report on what was changed and what that costs; undefined where no such pass was asked for. */
  readonly fit: FitReport | undefined;
}

/** Options of `changeFunction`. */
export interface ChangeOptions {
  readonly passes: PassChoice;
  /** Formats that will be written, for which operations are counted. */
  readonly targets: readonly Target[];
  readonly evidence: EvidenceOptions;
  /** Tokenizer in place of the model's own. */
  readonly tokenizer: TokenizerFiles | undefined;
  readonly run: Run;
}

/** Changes by passes that change the function, with what they cost and bring. */
export interface FitReport {
  readonly passes: readonly {
    readonly name: string;
    readonly rewrites: number;
    readonly declined: readonly string[];
  }[];
  /** Number of linears whose weights were fitted anew. */
  readonly refitted: number;
  readonly embeddings: readonly SplitEmbedding[];
  /** Names of norms and activations that --max-drop left as they are. */
  readonly kept: readonly string[];
  /** What prune left; undefined where it was not asked for. */
  readonly pruning?: Pruning | undefined;
  readonly distillation: Distillation | undefined;
  readonly calibration: SampleManifest | undefined;
  /** The changed model beside the original, on texts that it was not fitted to; undefined where there are none. */
  readonly heldOut: HeldOut | undefined;
  /**
   * The losses of layer-wise knowledge transfer, on a few of those texts; undefined where nothing was fitted or no
   * layers were found.
   */
  readonly transfer: Transfer | undefined;
  readonly operations: readonly Operations[];
  /** Attempts to hold --max-drop; undefined where the first one did, or no limit was given. */
  readonly pareto: readonly FitRow[] | undefined;
  /** Reasons for exit code 1; empty where --max-drop holds. */
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

/** What is left of heads and neurons. */
export interface Pruning {
  /** The share of operations that was asked for or found, 0 … 1. */
  readonly share: number;
  /** Groups in computing order, each by the name of the linear that reads it. */
  readonly groups: readonly PrunedGroup[];
  /** Attempts to find the least share that holds --max-drop; undefined where the share was given. */
  readonly budgets?: readonly BudgetRow[] | undefined;
}

/** One attempt to hold --max-drop with fewer operations. */
export interface BudgetRow {
  readonly share: number;
  /** Speedup by counted operations, for the first target. */
  readonly speedup: number;
  readonly heldOut: HeldOut;
  readonly chosen: boolean;
}

/** Losses against the original: with norms and activations replaced but not fitted, and as fitted. */
export interface Transfer {
  readonly before: TransferLosses;
  readonly after: TransferLosses;
}

/** Training after the fit. */
export interface Distillation {
  readonly steps: number;
  /** Texts of a step. */
  readonly batch: number;
  /** Number of texts that are drawn from. */
  readonly texts: number;
  /** SQNR of the answers in dB against the original, on held-out texts; undefined where there are none. */
  readonly trial: { readonly samples: number; readonly before: number; readonly after: number } | undefined;
  /** Measurements on the held-out texts on the way; empty where there are none. */
  readonly curve: readonly CurvePoint[];
  /** False where held-out texts were better off before, so that the training was dropped. */
  readonly isKept: boolean;
}

/** The changed model beside the original on held-out texts. */
export interface HeldOut {
  readonly samples: number;
  /** The share of equal answers, 0 … 1, or what `agreementOf` says; NaN where it cannot be told. */
  readonly agreement: number;
  /** The measure of `agreement`: the share of equal answers, the mean cosine of vectors, or the correlation of numbers. */
  readonly agreementOf: AgreementOf;
  /** Signal to quantization noise in dB over all outputs of valid tokens. */
  readonly sqnrDb: number;
  /** The share of right answers, 0 … 1; undefined without labels. */
  readonly accuracy: { readonly original: number; readonly changed: number } | undefined;
  /** Agreement of sentence embeddings; undefined for models that give none. */
  readonly embeddings?: EmbeddingAgreement;
  /** Loss that --max-drop limits, in percentage points: see `dropOf`. */
  readonly drop: number;
}

/**
 * Time of one run in multiply-adds of a matrix product, see `countOperations`. Default passes have run on both graphs.
 */
export interface Operations {
  readonly target: Target;
  /** Tokens of the sequence that was counted for. */
  readonly sequence: number;
  readonly original: number;
  readonly changed: number;
  /** Speedup by counted operations: original / changed. */
  readonly speedup: number;
}

/** One attempt to hold --max-drop. */
export interface FitRow {
  /** Number of norms and activations that stay as they are. */
  readonly kept: number;
  readonly norms: number;
  readonly activations: number;
  /** Speedup by counted operations, for the first target. */
  readonly speedup: number;
  readonly heldOut: HeldOut;
  readonly chosen: boolean;
}
