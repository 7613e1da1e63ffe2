import type { Inputs } from '../../../src/pipelines/verify/inputs.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';

/** Inputs of these rows without labels, texts or padding other than 0, but for what `more` says. */
export function plainInputs(rows: readonly TokenRow[], more: Partial<Inputs> = {}): Inputs {
  return {
    rows,
    labels: undefined,
    texts: undefined,
    classNames: undefined,
    data: null,
    seed: 1,
    pad: 0,
    mask: undefined,
    warnings: [],
    ...more,
  };
}
