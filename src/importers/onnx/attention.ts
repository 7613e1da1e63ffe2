import { scalarTensor } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible } from './context.ts';
import { floatOf, inputOf, intOf, knownShape, type Operation, type OperatorReader } from './operation.ts';
import { scaled } from './products.ts';
import { reshaped } from './shapes.ts';
import { constantSize, numberOf, ONE, type Size, ZERO } from './sizes.ts';
import { dtypeOf, type IndexValue, type Value } from './values.ts';

/** Operands of attention, all per head [batch, heads, sequence, size]. */
export interface AttentionParts {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  /** Factor of the products of queries and keys; undefined for 1 / sqrt(size). */
  readonly scale: number | undefined;
  /** Masks and biases, which are added to the scores by their names. */
  readonly addends: { readonly [part: string]: Value | undefined };
}

/** Builds softmax(Q Kᵀ scale + masks) V, per head. */
export function attended(to: GraphImport, parts: AttentionParts, name: string, last = name): Value {
  const { query, key, value, addends } = parts;
  const width = numberOf(knownShape(query).at(-1) as Size) ?? notExpressible('attention with heads of unknown size');
  const scale = parts.scale ?? 1 / Math.sqrt(width);
  const products = to.emit('matmul', [query, key], { transposeB: true }, `${name}/products`);
  let scores = scaled(to, products, scale, `${name}/scores`);
  for (const [part, addend] of Object.entries(addends)) {
    if (addend) scores = to.elementwise('add', [scores, addend], {}, `${name}/${part}`);
  }
  const probabilities = to.emit('softmax', [scores], { axis: -1 }, `${name}/probabilities`);
  return to.emit('matmul', [probabilities, value], {}, last);
}

/** Splits [batch, sequence, heads · size] into [batch, heads, sequence, size]. */
export function perHead(to: GraphImport, x: Value, heads: number, name: string): Value {
  const shape = knownShape(x);
  if (shape.length === 4) return x;
  const width = numberOf(shape.at(-1) ?? ONE);
  if (heads === 0 || width === null) notExpressible('attention without the number of heads');
  const split = reshaped(
    to,
    x,
    [...shape.slice(0, 2), constantSize(heads), constantSize(width / heads)],
    `${name}/split`,
  );
  return to.emit('transpose', [split], { permutation: [0, 2, 1, 3] }, name);
}

/** Joins heads again, [batch, sequence, heads · size]. */
export function joinedHeads(to: GraphImport, mixed: Value, name: string): Value {
  const joined = to.emit('transpose', [mixed], { permutation: [0, 2, 1, 3] }, `${name}/joined`);
  const [heads, size] = knownShape(joined).slice(-2).map(numberOf);
  return reshaped(to, joined, [...knownShape(joined).slice(0, 2), constantSize((heads ?? 0) * (size ?? 0))], name);
}

/** Makes a mask of the number of keys of each sequence that are no padding. */
export function lengthMask(to: GraphImport, lengths: Value, keys: Size, closed: number, name: string): Value {
  const dtype = dtypeOf(lengths);
  const places: IndexValue = { kind: 'index', dtype, shape: [keys], offset: ZERO, strides: [ONE] };
  const [batch = ONE] = knownShape(lengths);
  const rows = reshaped(to, lengths, [batch, ONE, ONE, ONE], `${name}/lengths`);
  return openMask(to, to.elementwise('compare', [places, rows], { test: 'less' }, `${name}/kept`), closed, name);
}

/** Makes a mask that is added of one that says where to look: 0 there and `closed` elsewhere. */
export function openMask(to: GraphImport, open: Value, closed: number, name: string): Value {
  const number = (value: number): Value => ({ kind: 'tensor', tensor: scalarTensor(value), name: `${name}/${value}` });
  return to.elementwise('where', [open, number(0), number(closed)], {}, `${name}/mask`);
}

/** Reads Attention, scaled and per head (operator set 23, lengths of keys since 24). */
export const attention: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  refuseVariants(operation);
  const heads = { query: intOf(operation, 'q_num_heads', 0), key: intOf(operation, 'kv_num_heads', 0) };
  const key = perHead(to, inputOf(operation, 1), heads.key, `${name}/key`);
  const [, , , mask, , , lengths] = inputs;
  const parts: AttentionParts = {
    query: perHead(to, inputOf(operation, 0), heads.query, `${name}/query`),
    key,
    value: perHead(to, inputOf(operation, 2), heads.key, `${name}/value`),
    scale: floatOf(operation, 'scale', 0) || undefined,
    addends: {
      masked: mask && additive(to, mask, name),
      unpadded:
        lengths && lengthMask(to, lengths, knownShape(key).at(-2) as Size, Number.NEGATIVE_INFINITY, `${name}/padding`),
    },
  };
  const isFlat = knownShape(inputOf(operation, 0)).length === 3;
  const mixed = attended(to, parts, name, isFlat ? `${name}/mixed` : name);
  return isFlat ? joinedHeads(to, mixed, name) : mixed;
};

function refuseVariants(operation: Operation): void {
  const { inputs, node } = operation;
  if (inputs[4] || inputs[5] || node.outputs.slice(1).some((output) => output !== ''))
    notExpressible('Attention with a cache');
  if (intOf(operation, 'is_causal', 0) !== 0) notExpressible('causal Attention');
  if (floatOf(operation, 'softcap', 0) !== 0) notExpressible('Attention with a soft cap');
  if (intOf(operation, 'q_num_heads', 0) !== intOf(operation, 'kv_num_heads', 0))
    notExpressible('Attention with grouped heads');
}

/** Makes a mask of yes and no one that is added. */
function additive(to: GraphImport, mask: Value, name: string): Value {
  return dtypeOf(mask) === 'bool' ? openMask(to, mask, Number.NEGATIVE_INFINITY, name) : mask;
}
