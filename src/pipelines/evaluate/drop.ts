import type { EmbeddingAgreement } from '../../metrics/embeddings.ts';

/** A hundredth of 100 samples is not exactly a point. */
const ROUNDING = 1e-9;

/** Whether no more points are lost than may be. A loss that is NaN is no answer, so it is a no. */
export function isAllowed(drop: number, maxDrop: number): boolean {
  return drop <= maxDrop + ROUNDING;
}

/** Measures of one model beside another, of which --max-drop limits the one that tells most. */
export interface Measures {
  /** Mean share of equal answers, or mean cosine, 0 … 1. */
  readonly agreement: number;
  /** Shares of right answers before and after; undefined without labels. */
  readonly accuracy: readonly [before: number, after: number] | undefined;
  /** Undefined for models that give no embeddings. */
  readonly embeddings: EmbeddingAgreement | undefined;
}

/**
 * The loss that --max-drop limits, in percentage points: of accuracy, of the correlation of embeddings' similarities,
 * which is what benchmarks of embedders score, or else of agreement.
 */
export function dropOf({ agreement, accuracy, embeddings }: Measures): number {
  if (accuracy) return 100 * (accuracy[0] - accuracy[1]);
  return 100 * (1 - (embeddings?.similarities ?? agreement));
}

/** Name of what --max-drop limits. */
export function lossName(measures: {
  readonly accuracy: unknown;
  readonly embeddings?: EmbeddingAgreement | undefined;
}): string {
  if (measures.accuracy) return 'accuracy';
  return typeof measures.embeddings?.similarities === 'number' ? 'similarity ranks' : 'agreement';
}
