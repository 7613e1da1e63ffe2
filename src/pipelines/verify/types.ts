import type { LintResult } from '../../lint/lint-file.ts';
import type { EmbeddingAgreement } from '../../metrics/embeddings.ts';
import type { Task } from '../../models/index.ts';
import type { GraphOutline } from '../../opened/outline.ts';
import type { View } from '../../samples/views.ts';
import type { AgreementOf } from '../evaluate/agreement.ts';
import type { ChoicesBy } from '../evaluate/decisions.ts';
import type { TransferLosses } from '../evaluate/transfer.ts';
import type { DistanceMeasure } from './view-distances.ts';

/** Result of `verify`. Plain data: `--json` prints it as it is, with null for what was not measured. */
export interface VerifyResult {
  readonly model: VerifiedModel;
  /** The reference (`--against`); null where the model was evaluated alone. */
  readonly against: VerifiedModel | null;
  readonly task: Task | null;
  readonly inputs: VerifyInputs | null;
  /** Outputs of the model beside those of the reference; empty without `--against`. */
  readonly outputs: readonly OutputAgreement[];
  /**
   * The share of equal answers, 0 … 1: class, span, token class or word at [MASK]; for features the mean cosine, for a
   * regression Pearson's correlation of the answers. Null without `--against`.
   */
  readonly agreement: number | null;
  /** The measure of `agreement`: the share of equal answers, mean cosine or correlation. Null without `--against`. */
  readonly agreementOf: AgreementOf | null;
  /** Agreement of sentence embeddings; absent for models that give none, and without `--against`. */
  readonly embeddings?: EmbeddingAgreement;
  /** Samples whose answer differs; null without `--against`, and where a sample has no single answer. */
  readonly flips: Flips | null;
  /** Agreement on parts of each text (`--views`); null where it was not asked for. */
  readonly views: ViewsAgreement | null;
  /** Task metrics; null without labels. */
  readonly metrics: TaskMetrics | null;
  /** Comparison of inner values; null where it was not asked for or the graphs have no values in common. */
  readonly layers: LayerComparison | null;
  /** Losses of knowledge transfer with the model as student of the reference (`--layers`). */
  readonly transfer: TransferLosses | null;
  /** Findings of the lint rules (`--lint`). */
  readonly lint: LintResult | null;
  /** Loss that `--max-drop` limits, in percentage points; null without `--against`. */
  readonly drop: Drop | null;
  /** Reasons for exit code 1: gates that failed, each a sentence. Empty: exit code 0. */
  readonly failures: readonly string[];
  /** Warnings, worded `file: part: problem`. */
  readonly warnings: readonly string[];
  /** The model's graph as plain data, where it was asked for and the model was run. */
  readonly outline?: GraphOutline;
}

/** One of the models, and what ran it. */
export interface VerifiedModel {
  readonly path: string;
  /**
   * Model family of a checkpoint, or the name of a graph; null where only lint rules were asked, as they do not read
   * the file as a graph.
   */
  readonly architecture: string | null;
  /** Name and version of the runtime, as `onnxruntime 1.30.0`; null where nothing ran. */
  readonly runtime: string | null;
  /** What ran. `file`: the file itself. `graph`: what mbert read in it, written as ONNX without any pass. */
  readonly ran: 'file' | 'graph' | null;
  /** Wall time of its runs on all samples, one thread; null where nothing ran. */
  readonly runMs: number | null;
}

/** Token sequences that the models were run on. */
export interface VerifyInputs {
  /** Path of the file of samples (`--data`); null for seeded token sequences. */
  readonly data: string | null;
  readonly samples: number;
  /** Seed of the sequences, or by which samples were shuffled; null where they were not. */
  readonly seed: number | null;
  /** Length that all sequences were padded to, as both models saw them; null where none was padded. */
  readonly paddedTo: number | null;
}

/** One output of both models over all samples; padding is left out. */
export interface OutputAgreement {
  /** Name in the reference; `modelName` differs from it only where no name is common. */
  readonly name: string;
  readonly modelName: string;
  /** Largest absolute difference; null where one of them holds NaN, which is a failure. */
  readonly maxAbsError: number | null;
  /**
   * Signal to quantization noise in dB, 10·log10(Σ reference² / Σ error²); null where both are equal, -200 where
   * nothing of the reference is left.
   */
  readonly sqnrDb: number | null;
  /**
   * The share of equal choices, 0 … 1: of rows (last axis; for spans the tokens) with their largest value at the same
   * place, or of values that are decided alike; null where there is nothing to choose.
   */
  readonly agreement: number | null;
  /** Says whether a choice is the largest value of a row or a decision on each value by itself. */
  readonly choices: ChoicesBy;
}

/** Samples that the model answers otherwise than the reference. */
export interface Flips {
  /** Number of all of them. */
  readonly count: number;
  /** At most 50 of them, those first of which the reference is surest. */
  readonly shown: readonly Flip[];
}

/** One sample that is answered otherwise. */
export interface Flip {
  /** Place among the samples that ran, from 1 on. */
  readonly sample: number;
  /** Its text, or its two texts; null for sequences of tokens. */
  readonly texts: readonly string[] | null;
  /** Right answer; null without labels of classes. */
  readonly label: string | null;
  /** Answer of the reference: the name or number of a class, or a span as `start 3, end 5`. */
  readonly reference: string;
  /** Answer of the model. */
  readonly model: string;
  /** Lead of the largest logit over the second one, in each model's own units; absent for spans. */
  readonly margins?: { readonly reference: number | null; readonly model: number | null };
}

/** Agreement of two models on parts of each text: both see the same part. */
export interface ViewsAgreement {
  /**
   * What distances are. `probability`: half of Σ |p - q| over the probabilities of the classes, 0 … 1, averaged over a
   * sequence's answers; `difference`: |a - b| of a regression; `cosine`: 1 - cosine of embeddings or features.
   */
  readonly measure: DistanceMeasure;
  readonly views: readonly ViewAgreement[];
}

/** Agreement on what one view shows. */
export interface ViewAgreement {
  readonly view: View;
  readonly samples: number;
  /** Share of equal answers, as `agreement` of the result; null where an answer is NaN. */
  readonly agreement: number | null;
  /** Mean distance of the answers; null where one is NaN. */
  readonly meanDistance: number | null;
  /** At most 20 samples, those first where the models part most. */
  readonly parted: readonly PartedText[];
}

/** One sample, and how far the models' answers to a view of it are apart. */
export interface PartedText {
  /** Place among the samples that ran, from 1 on. */
  readonly sample: number;
  /** Its whole text, or its two texts; null for sequences of tokens. */
  readonly texts: readonly string[] | null;
  /** Answer of the reference: a class, a span or a number; null where there is no single one. */
  readonly reference: string | null;
  /** Answer of the model. */
  readonly model: string | null;
  /** Distance of the answers; null where one of them is NaN. */
  readonly distance: number | null;
}

/** Counts of samples by their label (row) and the answer that they got (column). */
export interface Confusion {
  /** Names of the classes, or their numbers. */
  readonly classes: readonly string[];
  readonly model: readonly (readonly number[])[];
  /** Counts of the reference; null without `--against`. */
  readonly against: readonly (readonly number[])[] | null;
}

/** Metrics of each model by name (see METRICS), all of them 0 … 1 but correlations, which are -1 … 1. */
export interface TaskMetrics {
  /** Metric that `--max-drop` limits. */
  readonly primary: MetricName;
  /** Number of samples with labels. */
  readonly samples: number;
  readonly model: { readonly [M in MetricName]?: number };
  /** Metrics of the reference; null without `--against`. */
  readonly against: { readonly [M in MetricName]?: number } | null;
  /** Reading of the labels, where there are several ways: `token spans`. */
  readonly note: string | null;
  /** Confusion matrices of a classifier of up to 50 classes; null for other labels. */
  readonly confusion: Confusion | null;
}

/** Names of the task metrics. */
export type MetricName = 'accuracy' | 'f1' | 'mcc' | 'pearson' | 'spearman' | 'exactMatch' | 'spanF1';

/** Title of each metric, and whether it is a share, for reports. */
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
  /** Number of samples that were compared. */
  readonly samples: number;
  /** Number of pairs of values that were compared. */
  readonly compared: number;
  /**
   * Units in which values are compared. `as-is`: values must be equal. `up-to-scale`: the model keeps its channels in
   * other units, as equalized streams do, so each channel is fitted by one factor and one offset before it is compared.
   */
  readonly scale: 'as-is' | 'up-to-scale';
  /** Errors at the end of each layer, in the order of computing: the rows of a table. */
  readonly layers: readonly LayerError[];
  /**
   * The first value that is far from the reference while those that it is computed from are near; null where there is
   * none.
   */
  readonly parting: Parting | null;
}

/** Error of one inner value. */
export interface LayerError {
  /** Name of the node in the reference. */
  readonly name: string;
  /** Name of the node in the model. */
  readonly modelName: string;
  /**
   * Signal to quantization noise in dB, measured as `scale` says; null where both are equal, -200 where nothing of the
   * reference is left, as with NaN.
   */
  readonly sqnrDb: number | null;
}

/** The value at which the models part. */
export interface Parting extends LayerError {
  readonly op: string;
  /** Lowest SQNR of the compared values that it is computed from; null where they are equal. */
  readonly before: number | null;
}

/** Loss against the reference. */
export interface Drop {
  /** Percentage points that are lost. */
  readonly points: number;
  /**
   * The metric that is lost; where there are no labels the share of equal answers, of vectors their mean cosine, of
   * numbers their correlation, and of sentence embeddings the ranks of similarities.
   */
  readonly of: MetricName | 'agreement' | 'cosine' | 'correlation' | 'similarities';
  /** Limit of the loss (`--max-drop`); null where there is no gate. */
  readonly limit: number | null;
}
