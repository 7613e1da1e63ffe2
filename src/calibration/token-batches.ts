import { MbertError } from '../errors.ts';
import type { Tensor } from '../ir/tensor.ts';
import { feedsOf, type TokenRow } from '../samples/feeds.ts';
import type { TokenInputs } from './graph-session.ts';

/** Most tokens of a batch: enough to keep the cores busy, few enough that a batch's values stay small. */
const BATCH_TOKENS = 2048;

/** Number of sequences of which the last chooses regularization; the others are fitted to. */
const HELD_OUT = 5;

/** Sequences that are run together. */
export interface Batch {
  /** Places of the sequences in the calibration text. */
  readonly sequences: readonly number[];
  /** Tokens of each sequence without padding. */
  readonly valid: number;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

/** The calibration text in batches. */
export interface TextBatches {
  readonly batches: readonly Batch[];
  /** Number of batches that are fitted to, the first ones. */
  readonly fitted: number;
  /** Tokens of all batches without padding. */
  readonly tokens: number;
  /** True where batches have no padding, nor sequences that are there to fill them. */
  readonly isFull: boolean;
}

/**
 * Batches sequences of one length, so that nothing is padded where the graph takes any batch and any length. Those that
 * are fitted to come first, each part in order of length, then of place; a fixed batch that is not full repeats its
 * first sequence.
 */
export function batchesOf(
  inputs: TokenInputs,
  rows: readonly TokenRow[],
  { pad, batchTokens = BATCH_TOKENS }: { readonly pad: number; readonly batchTokens?: number | undefined },
): TextBatches {
  if (inputs.shape.length !== 2) {
    throw new MbertError('UNSUPPORTED', 'calibration: the model takes several sequences for one answer', {
      hint: 'fitting takes models whose inputs are [batch, sequence]',
    });
  }
  const places = rows.map((_, place) => place);
  const isHeld = (place: number) => place % HELD_OUT === HELD_OUT - 1;
  const [fitted, held] = [places.filter((place) => !isHeld(place)), places.filter(isHeld)].map((part) =>
    batchesOfPart(inputs, rows, part, { pad, batchTokens }),
  ) as [Batch[], Batch[]];
  return {
    batches: [...fitted, ...held],
    fitted: fitted.length,
    tokens: rows.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
    isFull: inputs.shape.every((dim) => typeof dim === 'string'),
  };
}

function batchesOfPart(
  inputs: TokenInputs,
  rows: readonly TokenRow[],
  places: readonly number[],
  { pad, batchTokens }: { readonly pad: number; readonly batchTokens: number },
): Batch[] {
  const [batch, sequence] = inputs.shape;
  const byLength = new Map<number, number[]>();
  for (const place of places) {
    const { length } = (rows[place] as TokenRow).inputIds;
    byLength.set(length, [...(byLength.get(length) ?? []), place]);
  }
  const batches: Batch[] = [];
  for (const [valid, same] of [...byLength].sort(([a], [b]) => a - b)) {
    const length = typeof sequence === 'number' ? sequence : valid;
    const size = typeof batch === 'number' ? batch : Math.max(1, Math.floor(batchTokens / length));
    for (let from = 0; from < same.length; from += size) {
      const sequences = same.slice(from, from + size);
      const filled = [...sequences];
      while (typeof batch === 'number' && filled.length < batch) filled.push(sequences[0] as number);
      const feeds = feedsOf(
        filled.map((place) => rows[place] as TokenRow),
        { dtype: inputs.dtype, shape: [filled.length, length], pad },
      );
      batches.push({ sequences, valid, feeds });
    }
  }
  return batches;
}
