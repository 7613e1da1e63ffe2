import { ONNX_DTYPES } from '../../formats/onnx.ts';
import { elementsOf, packNibbles } from '../../ir/elements.ts';
import type { Call, Node } from '../../ir/graph.ts';
import { computedTensor, convertTensor, DTYPES, readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import { type BlockedRows, hasBlockedRows } from './blocked-rows.ts';
import type { OnnxBuilder, Step } from './builder.ts';

// ONNX Runtime's own operators on weights in blocks: github.com/microsoft/onnxruntime, docs/ContribOperators.md.

/** The largest error of x that MatMulNBits may make: 4 lets it round x to 8 bits, a scale for each token and block. */
const ACCURACY_LEVEL = 4;

/**
 * Writes a linear of a weight in blocks as one MatMulNBits, which adds the bias as well. Scales that halves hold exactly
 * are stored as halves; see `widenedParts`.
 */
export function blockSteps(node: Call<'linear'>, weight: BlockedRows, out: OnnxBuilder): Step[] {
  const [x, , bias] = node.inputs as readonly [Node, Node, Node?];
  const { dtype, quant } = weight.type;
  const [rows, width] = weight.type.shape;
  const bits = DTYPES[dtype];
  const { scales, areHalves } = storedScales(weight);
  const [integers, steps] = areHalves ? widenedParts(weight, scales, out) : plainParts(weight, scales, out);
  const inputs = [out.value(x), integers, steps, zeroPointsOf(weight, out), '', bias ? out.value(bias) : ''];
  while (inputs.at(-1) === '') inputs.pop();
  const attributes = {
    K: { int: width },
    N: { int: rows },
    bits: { int: bits },
    block_size: { int: quant.size },
    accuracy_level: { int: ACCURACY_LEVEL },
  };
  return [{ part: 'linear', op: 'MatMulNBits', inputs, attributes }];
}

type Parts = readonly [integers: string, scales: string];

function plainParts(weight: BlockedRows, scales: Tensor, out: OnnxBuilder): Parts {
  return [
    out.once(`${weight.name}/packed`, () => out.initializer(weight.name, packedRows(weight))),
    out.once(`${weight.name}/scales`, (key) => out.initializer(key, scales)),
  ];
}

/**
 * Writes scales as halves that a Cast widens and integers that a Reshape gives their shape, both of which ONNX Runtime
 * works out when it loads a file. Without graph optimizations it does neither. Then the kernel finds no constants, and
 * computes on floats what it unpacks in each run: slowly, and right. Had it only its integers as a constant, it would
 * pack them without their scales, and give wrong numbers without an error (1.20.1 to 1.32.0).
 */
function widenedParts(weight: BlockedRows, halves: Tensor, out: OnnxBuilder): Parts {
  const { name } = weight;
  const packed = packedRows(weight);
  const [rows = 0, blocks = 0, bytes = 0] = packed.shape;
  const flat = { ...packed, shape: [rows, blocks * bytes] };
  return [
    out.once(`${name}/packed`, (key) => {
      const inputs = [out.initializer(key, flat), out.integers(packed.shape)];
      return out.emit(name, 'Reshape', inputs);
    }),
    out.once(`${name}/scales`, (key) => {
      const inputs = [out.initializer(`${key}/f16`, halves)];
      return out.emit(key, 'Cast', inputs, { to: { int: ONNX_DTYPES.f32 } });
    }),
  ];
}

/** The scales of a weight or table, [rows, blocks]: as halves where these hold them exactly. */
function storedScales({ type: { shape, quant } }: BlockedRows): { scales: Tensor; areHalves: boolean } {
  const exact = tensorOf('f32', [shape[0], Math.ceil(shape[1] / quant.size)], quant.scales);
  const halves = convertTensor(exact, 'f16');
  const areHalves = readF32(halves).every((scale, i) => scale === quant.scales[i]);
  return { scales: areHalves ? halves : exact, areHalves };
}

/** Stored integers are unsigned there: what is symmetric has its zero in the middle. */
function shiftOf({ type: { dtype } }: BlockedRows): number {
  return dtype === 'i4' ? 8 : dtype === 'i8' ? 128 : 0;
}

/** Packs a weight as [rows, blocks, bytes of a block]; the last block of a row is filled up with zeros. */
function packedRows(weight: BlockedRows): Tensor {
  const { shape, dtype, quant } = weight.type;
  const [rows, width] = shape;
  const { size } = quant;
  const bits = DTYPES[dtype];
  const blocks = Math.ceil(width / size);
  return computedTensor('u8', [rows, blocks, (size * bits) / 8], () => {
    const source = elementsOf(weight.tensor);
    const most = 2 ** bits - 1;
    const shift = shiftOf(weight);
    const values = new Uint8Array(rows * blocks * size).fill(shift);
    for (let row = 0; row < rows; row++) {
      const to = row * blocks * size;
      for (let i = 0, from = row * width; i < width; i++) {
        values[to + i] = ((source[from + i] as number) + shift) & most;
      }
    }
    return bits === 4 ? packNibbles(values) : values;
  });
}

/** Writes the zero points of a weight, each row beginning with a byte; none where 0 is in the middle, as is implied. */
function zeroPointsOf(weight: BlockedRows, out: OnnxBuilder): string {
  const { shape, dtype, quant } = weight.type;
  const { zeroPoints } = quant;
  const shift = shiftOf(weight);
  if (shift > 0 && (zeroPoints === undefined || zeroPoints.every((each) => each === 0))) return '';
  const [rows, width] = shape;
  const blocks = Math.ceil(width / quant.size);
  const perByte = 8 / DTYPES[dtype];
  const stride = Math.ceil(blocks / perByte) * perByte;
  const values = new Uint8Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      values[row * stride + block] = (zeroPoints?.[row * blocks + block] ?? 0) + shift;
    }
  }
  const packed = perByte === 2 ? packNibbles(values) : values;
  const tensor = tensorOf('u8', [rows, stride / perByte], packed);
  return out.once(`${weight.name}/zero_points`, (key) => out.initializer(key, tensor));
}

/** Whether a look-up can be written as GatherBlockQuantized: rows of a table in 4 bits. */
export function looksUpBlocks(node: Call<'gather'>): boolean {
  const table = node.inputs[0] as Node;
  return node.attrs.axis === 0 && hasBlockedRows(table) && DTYPES[table.type.dtype] === 4;
}

/**
 * Writes a look-up in a table of 4-bit blocks: only the rows that are picked are unpacked. Scales that halves hold
 * exactly are stored as halves, and so are what comes out until the Cast behind it.
 */
export function gatherBlocks(node: Call<'gather'>, out: OnnxBuilder): void {
  const [table, indices] = node.inputs as readonly [BlockedRows, Node];
  const { shape, dtype, quant } = table.type;
  const [rows, width] = shape;
  const grid = [rows, Math.ceil(width / quant.size)];
  const data = out.once(`${table.name}/table`, () => out.initializer(table.name, table.tensor));
  const { scales: steps, areHalves } = storedScales(table);
  const scales = out.once(`${table.name}/table/scales`, () => out.initializer(`${table.name}/scales`, steps));
  const zeros = quant.zeroPoints;
  const zeroPoints = zeros
    ? [
        out.once(`${table.name}/table/zero_points`, () => {
          const packed = packNibbles(Uint8Array.from(zeros, (each) => each & 15));
          return out.initializer(`${table.name}/zero_points`, tensorOf(dtype, grid, packed));
        }),
      ]
    : [];
  const inputs = [data, out.value(indices), scales, ...zeroPoints];
  const attributes = { gather_axis: { int: 0 }, quantize_axis: { int: 1 }, block_size: { int: quant.size } };
  const picked: Step = { part: 'rows', op: 'GatherBlockQuantized', inputs, attributes };
  const widened: Step = { part: 'cast', op: 'Cast', inputs: [], attributes: { to: { int: ONNX_DTYPES.f32 } } };
  out.chain(node, areHalves ? [picked, widened] : [picked]);
}
