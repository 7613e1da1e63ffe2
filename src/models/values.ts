import { MbertError } from '../errors.ts';
import { arrayOf, type Tensor } from '../ir/tensor.ts';

/** Tensor that is refused at its first reading where a value is NaN or infinite; `what` names it. */
export function finiteTensor(what: string, tensor: Tensor): Tensor {
  let isChecked = false;
  return {
    ...tensor,
    bytes() {
      const bytes = tensor.bytes();
      // Checked where it is read anyway: another pass over the file would cost as much as the whole conversion's writing.
      if (!isChecked) checkFinite(what, { ...tensor, bytes: () => bytes });
      isChecked = true;
      return bytes;
    },
  };
}

/** Bits of a word that are all set in NaN and infinity, and those that tell NaN from infinity. */
const FORMATS = {
  f32: { exponent: 0x7f800000, fraction: 0x007fffff },
  f16: { exponent: 0x7c00, fraction: 0x03ff },
  bf16: { exponent: 0x7f80, fraction: 0x007f },
} as const;

function isChecked(dtype: string): dtype is keyof typeof FORMATS {
  return Object.hasOwn(FORMATS, dtype);
}

function checkFinite(what: string, tensor: Tensor): void {
  const { dtype } = tensor;
  if (!isChecked(dtype)) return;
  const { exponent, fraction } = FORMATS[dtype];
  const words = dtype === 'f32' ? arrayOf({ ...tensor, dtype: 'i32' }) : arrayOf({ ...tensor, dtype: 'u16' });
  if (allFinite(words, exponent, fraction + 1)) return;
  let [nan, infinite] = [0, 0];
  for (const word of words) {
    if ((word & exponent) !== exponent) continue;
    if ((word & fraction) !== 0) nan++;
    else infinite++;
  }
  const counts = [...(nan > 0 ? [`${nan} NaN`] : []), ...(infinite > 0 ? [`${infinite} infinite`] : [])];
  throw new MbertError('MALFORMED', `${what}: ${counts.join(' and ')} of ${words.length} values`, {
    hint: 'the training run diverged or the file is damaged; convert an earlier checkpoint',
  });
}

/**
 * True where no exponent has all its bits set: adding its lowest bit carries into the sign's place only then, which
 * takes no branch in the loop.
 */
function allFinite(words: Int32Array | Uint16Array, exponent: number, lowest: number): boolean {
  let carries = 0;
  for (let i = 0; i < words.length; i++) carries |= ((words[i] as number) & exponent) + lowest;
  return (carries & (exponent + lowest)) === 0;
}

/** True where every element is a zero, of either sign. */
export function isZero(tensor: Tensor): boolean {
  const bytes = tensor.bytes();
  const isFloat = isChecked(tensor.dtype);
  // Only the sign of a float may differ: it is the top bit of the last byte of a word.
  const width = tensor.dtype === 'f32' ? 4 : 2;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte === 0) continue;
    if (!isFloat || byte !== 0x80 || i % width !== width - 1) return false;
  }
  return true;
}
