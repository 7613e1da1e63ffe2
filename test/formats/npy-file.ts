import type { DType, Tensor } from '../../src/ir/tensor.ts';

const DESCRS: { readonly [D in DType]?: string } = {
  f64: '<f8',
  f32: '<f4',
  f16: '<f2',
  i64: '<i8',
  i32: '<i4',
  i8: '|i1',
  u8: '|u1',
  bool: '|b1',
};

/** The bytes of a .npy file (format 1.0, C order) with this tensor, as numpy writes them. */
export function npyFile(tensor: Tensor): Uint8Array {
  const { dtype, shape } = tensor;
  // Python spells a tuple of one element with a comma after it.
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dict = `{'descr': '${DESCRS[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // The magic string, the version and the header's length have 10 bytes, and the data starts at a multiple of 64.
  const headerBytes = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const prefix = [0x93, ...Buffer.from('NUMPY'), 1, 0, headerBytes & 255, headerBytes >> 8];
  return Buffer.concat([Buffer.from(prefix), Buffer.from(`${dict.padEnd(headerBytes - 1)}\n`), tensor.bytes()]);
}
