import { MbertError } from '../errors.ts';
import { sizeOf } from '../ir/shape.ts';
import type { Tensor } from '../ir/tensor.ts';
import { randomNumbers } from '../solve/random-numbers.ts';
import { feedsOf, type TokenRow } from './feeds.ts';

export interface SequenceOptions {
  /** Shape [..., sequence]. */
  readonly shape: readonly number[];
  readonly seed: number;
  /** Limit of ids, which lie in 1 … vocabSize - 1. Default 100, as every vocabulary has; a model's own tests more. */
  readonly vocabSize?: number;
  /** Number of token types that the model has; default 2. */
  readonly tokenTypes?: number;
  /** Id of padding, default 0. The trigram front reads its embedding, and some models find padding by it. */
  readonly pad?: number;
  /** Type of ids; default i32, which the runtimes convert. */
  readonly dtype?: 'i32' | 'i64';
}

/** Share of rows without padding. The length of the others is uniform in 1 … sequence. */
const FULL_ROWS = 0.25;

/**
 * Makes random feeds `input_ids`, `attention_mask` and `token_type_ids` of `shape`: each row has its own length with
 * padding behind it, and a first part of token type 0 before a second of type 1. Same options, same feeds, on every
 * machine.
 */
export function randomSequences(options: SequenceOptions): Map<string, Tensor> {
  const { shape, dtype = 'i32' } = options;
  const rows = randomRows({ ...options, count: sizeOf(shape.slice(0, -1)), length: shape.at(-1) ?? 0 });
  return feedsOf(rows, { dtype, shape, pad: options.pad ?? 0 });
}

/** Makes the rows of `randomSequences` without their padding: `count` of up to `length` tokens. */
export function randomRows(
  options: Omit<SequenceOptions, 'shape' | 'dtype'> & { readonly count: number; readonly length: number },
): TokenRow[] {
  const { count, length, seed, vocabSize = 100, tokenTypes = 2, pad = 0 } = options;
  if (vocabSize < 2) throw new MbertError('UNSUPPORTED', `a vocabulary of ${vocabSize} has no token beside [PAD]`);
  const random = randomNumbers(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const rows: TokenRow[] = [];
  for (let i = 0; i < count; i++) {
    const valid = random() < FULL_ROWS ? length : 1 + below(length);
    const first = 1 + below(valid);
    const inputIds = Array.from({ length: valid }, () => otherThan(pad, below(vocabSize - 1)));
    const tokenTypeIds = new Array<number>(valid).fill(0).fill(tokenTypes > 1 ? 1 : 0, first);
    rows.push({ inputIds, tokenTypeIds });
  }
  return rows;
}

/** The id of that number among all but the padding's. */
function otherThan(pad: number, number: number): number {
  return number < pad ? number : number + 1;
}
