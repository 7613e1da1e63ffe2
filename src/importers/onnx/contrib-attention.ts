import { sizeOf } from '../../ir/shape.ts';
import { arrayOf, computedTensor, DTYPES } from '../../ir/tensor.ts';
import { attended, joinedHeads, lengthMask, openMask, perHead } from './attention.ts';
import { notExpressible } from './context.ts';
import { floatOf, inputOf, intOf, intsOf, knownShape, type Operation, type OperatorReader } from './operation.ts';
import { reshaped, turnedTensor } from './shapes.ts';
import { constantSize, numberOf, type Size, ZERO } from './sizes.ts';
import type { TensorValue, Value } from './values.ts';

// ONNX Runtime's own forms of embeddings and attention: github.com/microsoft/onnxruntime, docs/ContribOperators.md.

/** Number that its masks add where nothing is to be seen, if they say none. */
const MASK_FILTER = -10_000;

const PARTS = ['query', 'key', 'value'] as const;

/** Reads Attention of x, one weight [in, 3 · out] for queries, keys and values, their bias, a mask and a bias of scores. */
export const ortAttention: OperatorReader = (operation) => {
  const [, , bias, mask, past, scoreBias] = operation.inputs;
  if (past) notExpressible('attention with a cache');
  const weight = constantOf(inputOf(operation, 1));
  return mergedAttention(operation, { x: inputOf(operation, 0), weight, bias, mask, scoreBias });
};

/** Attention with the weights of queries, keys and values side by side. */
interface Merged {
  readonly x: Value;
  readonly weight: TensorValue;
  readonly bias: Value | undefined;
  readonly mask: Value | undefined;
  readonly scoreBias?: Value | undefined;
}

/** Builds attention of one x: three linears, each with its part of the weights. */
export function mergedAttention(operation: Operation, { x, weight, bias, mask, scoreBias }: Merged): Value {
  const { to, name, node } = operation;
  refuseVariants(operation);
  if (node.outputs.slice(1).some((output) => output !== '')) notExpressible('attention with a cache');
  const total = weight.tensor.shape[1] as number;
  const sizes = intsOf(operation, 'qkv_hidden_sizes') ?? [total / 3, total / 3, total / 3];
  const rows = turnedTensor(weight);
  let from = 0;
  const [query, key, value] = PARTS.map((part, i) => {
    const size = sizes[i] as number;
    const operands: Value[] = [x, rowsOf(rows, from, size, `${name}/${part}/weight`)];
    if (bias) operands.push(rowsOf(constantOf(bias), from, size, `${name}/${part}/bias`));
    from += size;
    const linear = to.emit('linear', operands, {}, `${name}/${part}/linear`);
    return perHead(to, linear, intOf(operation, 'num_heads', 0), `${name}/${part}`);
  }) as [Value, Value, Value];
  return whole(operation, { query, key, value, mask, scoreBias });
}

interface Heads {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  readonly mask: Value | undefined;
  readonly scoreBias: Value | undefined;
}

function whole(operation: Operation, { query, key, value, mask, scoreBias }: Heads): Value {
  const { to, name } = operation;
  const scale = floatOf(operation, 'scale', 0) || undefined;
  const masked = mask && maskOf(operation, mask, knownShape(key).at(-2) as Size);
  const addends = { biased: scoreBias, masked };
  return joinedHeads(to, attended(to, { query, key, value, scale, addends }, name, `${name}/mixed`), name);
}

/** Reads MultiHeadAttention of queries, keys and values, their bias in one, a padding mask and a bias of scores. */
export const multiHeadAttention: OperatorReader = (operation) => {
  const { to, name, inputs } = operation;
  refuseVariants(operation);
  const [, , , bias, mask, scoreBias, ...cache] = inputs;
  if (cache.some((value) => value !== undefined)) notExpressible('attention with a cache');
  const heads = intOf(operation, 'num_heads', 0);
  let from = 0;
  const [query, key, value] = PARTS.map((part, i) => {
    let x = inputs[i] ?? notExpressible('attention with packed queries, keys and values');
    const size = numberOf(knownShape(x).at(-1) as Size) ?? notExpressible('attention of unknown width');
    if (bias) {
      const own = rowsOf(constantOf(bias), from, size, `${name}/${part}/bias`);
      x = to.elementwise('add', [x, own], {}, `${name}/${part}/biased`);
    }
    from += size;
    return perHead(to, x, heads, `${name}/${part}`);
  }) as [Value, Value, Value];
  return whole(operation, { query, key, value, mask, scoreBias });
};

function refuseVariants(operation: Operation): void {
  if (intOf(operation, 'unidirectional', 0) !== 0) notExpressible('attention to earlier tokens only');
  if (intOf(operation, 'do_rotary', 0) !== 0) notExpressible('attention with rotary positions');
}

/**
 * Mask as numbers that are added: of the length of each sequence [batch], of the tokens to look at [batch, keys], or of
 * those for each token.
 */
function maskOf(operation: Operation, mask: Value, keys: Size): Value {
  const { to, name } = operation;
  const closed = floatOf(operation, 'mask_filter_value', MASK_FILTER);
  const shape = knownShape(mask);
  if (shape.length === 1) return lengthMask(to, mask, keys, closed, name);
  if (shape.length > 3) notExpressible('attention with a mask of four axes');
  const zero: Value = { kind: 'list', dtype: 'i32', shape: [], elements: [ZERO] };
  const tokens = to.elementwise('cast', [mask], { to: 'i32' }, `${name}/tokens`);
  const open = to.elementwise('compare', [tokens, zero], { test: 'greater' }, `${name}/kept`);
  const [batch, ...rest] = shape;
  const lead = [batch as Size, ...new Array<Size>(3 - rest.length).fill(constantSize(1))];
  return openMask(to, reshaped(to, open, [...lead, ...rest], `${name}/open`), closed, name);
}

function constantOf(value: Value): TensorValue {
  return value.kind === 'tensor' ? value : notExpressible('attention with computed weights');
}

/** Rows of a constant, its quantization with them. */
function rowsOf({ tensor, quant }: TensorValue, from: number, count: number, name: string): TensorValue {
  if (quant && quant.per === 'block') notExpressible('attention with weights in blocks');
  const shape = [count, ...tensor.shape.slice(1)];
  const width = shape.slice(1).reduce((size, dim) => size * dim, 1);
  if (DTYPES[tensor.dtype] < 8) notExpressible('attention with weights of 4 bits');
  const rows = computedTensor(tensor.dtype, shape, () =>
    arrayOf(tensor).slice(from * width, from * width + sizeOf(shape)),
  );
  if (quant === undefined || quant.per === 'tensor')
    return { kind: 'tensor', tensor: rows, name, ...(quant && { quant }) };
  const part = <A extends Float32Array | Int32Array>(values: A) => values.slice(from, from + count) as A;
  const own = { ...quant, scales: part(quant.scales), ...(quant.zeroPoints && { zeroPoints: part(quant.zeroPoints) }) };
  return { kind: 'tensor', tensor: rows, name, quant: own };
}
