import { fc } from '../fast-check.ts';

/** Raise it for a long run, e.g. MBERT_FUZZ_RUNS=100000. */
export const RUNS = Number(process.env['MBERT_FUZZ_RUNS'] ?? 400);

/** How bytes are damaged: replaced at a place (a fraction of the file), or the file cut there. */
export type Edit = { readonly at: number } & ({ readonly bytes: Uint8Array } | { readonly cut: true });

/** Values that lengths and offsets go wrong with, and any bytes. */
const BYTES = fc.oneof(
  fc
    .constantFrom(
      '00',
      'ff',
      '7f',
      '80',
      '01',
      'ffffffff',
      '00000080',
      'ffffff7f',
      'ffffffffffffffff',
      '0000000000000080',
    )
    .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
  fc.uint8Array({ minLength: 1, maxLength: 8 }),
);
const PLACE = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
export const EDITS: fc.Arbitrary<Edit[]> = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.record({ at: PLACE, bytes: BYTES }) },
    { weight: 1, arbitrary: fc.record({ at: PLACE, cut: fc.constant<true>(true) }) },
  ),
  { minLength: 1, maxLength: 4 },
);

export function damage(good: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let bytes = Uint8Array.from(good);
  for (const edit of edits) {
    const at = Math.floor(edit.at * bytes.length);
    if ('cut' in edit) bytes = bytes.slice(0, at);
    else bytes.set(edit.bytes.subarray(0, bytes.length - at), at);
  }
  return bytes;
}
