import type { EmbeddingAgreement } from '../../metrics/embeddings.ts';
import { AGREEMENT_NAMES, type Agreement, untoldReason } from './agreement.ts';

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

/** Measured answers of a changed model beside the original's, as far as --max-drop looks at them. */
interface Loss extends Agreement {
  readonly accuracy: unknown;
  readonly embeddings?: EmbeddingAgreement | undefined;
  readonly drop: number;
}

/** Sentence for a loss that --max-drop does not allow; undefined where it does. */
export function dropFailure(loss: Loss, maxDrop: number): string | undefined {
  if (isAllowed(loss.drop, maxDrop)) return undefined;
  const name = lossName(loss);
  const reason = Number.isNaN(loss.drop) ? untoldReason(loss) : undefined;
  return `--max-drop ${maxDrop}: ${name} ${reason ?? `fell by ${loss.drop.toFixed(2)} points`}`;
}

/** Name of what --max-drop limits. */
function lossName({ accuracy, embeddings, agreementOf }: Loss): string {
  if (accuracy) return 'accuracy';
  if (typeof embeddings?.similarities === 'number') return 'similarity ranks';
  return agreementOf === 'choices' ? 'agreement' : AGREEMENT_NAMES[agreementOf];
}
