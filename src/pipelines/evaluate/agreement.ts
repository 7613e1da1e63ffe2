/** Measures that an agreement may be in: the share of equal answers, the mean cosine of vectors, or Pearson's correlation of numbers. */
export type AgreementOf = 'choices' | 'cosine' | 'correlation';

/** Names in reports. */
export const AGREEMENT_NAMES: { readonly [A in AgreementOf]: string } = {
  choices: 'equal answers',
  cosine: 'mean cosine',
  correlation: 'correlation of answers',
};

/** An agreement with what it is. */
export interface Agreement {
  readonly agreement: number | null;
  readonly agreementOf: AgreementOf;
  /** NaN where an answer is NaN. */
  readonly sqnrDb?: number | null;
}

/** Why an agreement is no number; undefined where it is one. Numbers that are all alike correlate with nothing. */
export function untoldReason({ agreement, agreementOf, sqnrDb }: Agreement): string | undefined {
  if (agreement !== null && !Number.isNaN(agreement)) return undefined;
  const isConstant = agreementOf === 'correlation' && !Number.isNaN(sqnrDb);
  return `cannot be told: ${isConstant ? 'the answers do not vary' : 'an answer is NaN or all zeros'}`;
}
