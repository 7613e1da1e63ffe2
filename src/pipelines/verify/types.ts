import type { LintResult } from '../../lint/lint-file.ts';
import type { Task } from '../../models/index.ts';
import type { TransferLosses } from '../evaluate/transfer.ts';

/** What `mbert verify` found. Plain data: `--json` prints it as it is, with null for what was not measured. */
export interface VerifyResult {
  readonly model: VerifiedModel;
  /** `--against`; null where the model was evaluated alone. */
  readonly against: VerifiedModel | null;
  readonly task: Task | null;
  readonly inputs: VerifyInputs | null;
  /** Output by output, model against reference; empty without `--against`. */
  readonly outputs: readonly OutputAgreement[];
  /**
   * The share of equal answers, 0 … 1: class, span, token class or word at [MASK]; for features the mean cosine, for a
   * regression Pearson's correlation of the answers. Null without `--against`.
   */
  readonly agreement: number | null;
  /** Task metrics; null without labels. */
  readonly metrics: TaskMetrics | null;
  /** Null where it was not asked for or the graphs have no values in common. */
  readonly layers: LayerComparison | null;
  /** `--layers`: the model as student of the reference. */
  readonly transfer: TransferLosses | null;
  /** `--lint`. */
  readonly lint: LintResult | null;
  /** What `--max-drop` limits, in percentage points; null without `--against`. */
  readonly drop: Drop | null;
  /** Why the answer is no: gates that failed, each a sentence. Empty: exit code 0. */
  readonly failures: readonly string[];
  /** Worded `file: part: problem`. */
  readonly warnings: readonly string[];
}

export interface VerifiedModel {
  readonly path: string;
  /** The family of a checkpoint, the name of a graph; null where rules were asked only, which does not read it as a graph. */
  readonly architecture: string | null;
  /** What ran it: `onnxruntime 1.30.0`; null where nothing ran. */
  readonly runtime: string | null;
  /** `file`: the file itself ran. `graph`: what mbert read in it, written as ONNX without any pass. */
  readonly ran: 'file' | 'graph' | null;
}

/** What the models were run on. */
export interface VerifyInputs {
  /** A file of `--data`, or null for seeded token sequences. */
  readonly data: string | null;
  readonly samples: number;
  readonly seed: number | null;
  /** What all sequences were padded to, as both models saw them; null: none was padded. */
  readonly paddedTo: number | null;
}

/** One output of both models over all samples; padding is left out. */
export interface OutputAgreement {
  /** The reference's name; the model's may differ where no name is common. */
  readonly name: string;
  readonly modelName: string;
  /** Null where one of them holds NaN, which is a failure. */
  readonly maxAbsError: number | null;
  /** 10·log10(Σ reference² / Σ error²); null where both are equal, -200 where nothing is left of it. */
  readonly sqnrDb: number | null;
  /** The share of rows (last axis; for spans the tokens) with their largest value at the same place; null where rows have one value. */
  readonly agreement: number | null;
}

/** Metrics of each model by name (see METRICS), all of them 0 … 1 but correlations, which are -1 … 1. */
export interface TaskMetrics {
  /** What `--max-drop` looks at. */
  readonly primary: MetricName;
  /** Samples with labels. */
  readonly samples: number;
  readonly model: { readonly [M in MetricName]?: number };
  /** Null without `--against`. */
  readonly against: { readonly [M in MetricName]?: number } | null;
  /** How labels were read where there are several ways: `token spans`. */
  readonly note: string | null;
}

export type MetricName = 'accuracy' | 'f1' | 'mcc' | 'pearson' | 'spearman' | 'exactMatch' | 'spanF1';

/** What each metric is, for reports. */
export const METRICS: { readonly [M in MetricName]: { readonly title: string; readonly isShare: boolean } } = {
  accuracy: { title: 'accuracy', isShare: true },
  f1: { title: 'F1', isShare: true },
  mcc: { title: 'MCC', isShare: false },
  pearson: { title: 'Pearson', isShare: false },
  spearman: { title: 'Spearman', isShare: false },
  exactMatch: { title: 'EM', isShare: true },
  spanF1: { title: 'F1', isShare: true },
};

/** Inner values of both models, paired by name and structure after exact passes on both. */
export interface LayerComparison {
  /** Rows that were looked at. */
  readonly samples: number;
  /** Pairs of values that were compared. */
  readonly compared: number;
  /**
   * `as-is`: values must be equal. `up-to-scale`: the model keeps its channels in other units, as equalized streams
   * do, so each channel is fitted by one factor and one offset before it is compared.
   */
  readonly scale: 'as-is' | 'up-to-scale';
  /** The end of each layer, in the order of computing: a table's rows. */
  readonly layers: readonly LayerError[];
  /** The first value that is far from the reference while what it is made of is near; null where none is. */
  readonly parting: Parting | null;
}

export interface LayerError {
  /** The node's name in the reference, and in the model. */
  readonly name: string;
  readonly modelName: string;
  /** See `scale`; null where both are equal, -200 where nothing is left of the reference, as with NaN. */
  readonly sqnrDb: number | null;
}

export interface Parting extends LayerError {
  readonly op: string;
  /** The least SQNR of the compared values that it is computed from; null where they are equal. */
  readonly before: number | null;
}

/** How much more is lost than may be. */
export interface Drop {
  readonly points: number;
  /** What they are points of: a metric, or agreement where there are no labels. */
  readonly of: MetricName | 'agreement';
  /** `--max-drop`; null where there is no gate. */
  readonly limit: number | null;
}
