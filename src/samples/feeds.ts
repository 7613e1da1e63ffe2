import { MbertError } from '../errors.ts';
import { shapeText, sizeOf } from '../ir/shape.ts';
import { type Tensor, tensorOf } from '../ir/tensor.ts';

/**
 * Token ids with their token types (0 for the first text, 1 for the second), special tokens included, without padding.
 */
export interface TokenRow {
  readonly inputIds: readonly number[];
  readonly tokenTypeIds: readonly number[];
}

interface FeedLayout {
  readonly dtype: 'i32' | 'i64';
  /** Shape [..., sequence]: the axes before the last hold the rows in order. */
  readonly shape: readonly number[];
  /** Id of padding. */
  readonly pad: number;
}

/**
 * Makes `input_ids`, `attention_mask` and `token_type_ids`, all of `shape`: padding has the id `pad`, mask 0 and type
 * 0. Throws MISMATCH where the rows do not fit the shape.
 */
export function feedsOf(rows: readonly TokenRow[], { dtype, shape, pad }: FeedLayout): Map<string, Tensor> {
  const length = shape.at(-1) ?? 0;
  const ids = new Int32Array(sizeOf(shape)).fill(pad);
  const mask = new Int32Array(ids.length);
  const types = new Int32Array(ids.length);
  if (ids.length !== rows.length * length) {
    throw new MbertError('MISMATCH', `${rows.length} token sequences do not fill ${shapeText(shape)}`);
  }
  for (const [i, { inputIds, tokenTypeIds }] of rows.entries()) {
    if (inputIds.length > length) {
      throw new MbertError('MISMATCH', `${inputIds.length} tokens do not fit a sequence of ${length}`);
    }
    ids.set(inputIds, i * length);
    mask.fill(1, i * length, i * length + inputIds.length);
    types.set(tokenTypeIds, i * length);
  }
  const tensor = (values: Int32Array) =>
    tensorOf(dtype, shape, dtype === 'i32' ? values : BigInt64Array.from(values, BigInt));
  return new Map([
    ['input_ids', tensor(ids)],
    ['attention_mask', tensor(mask)],
    ['token_type_ids', tensor(types)],
  ]);
}
