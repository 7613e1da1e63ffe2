import { scalarTensor, shortestDecimal } from '../../ir/tensor.ts';
import { notExpressible } from './context.ts';
import { gathered } from './indexing.ts';
import { floatOf, inputOf, intOf, knownShape, type Operation, type OperatorReader } from './operation.ts';
import { product } from './products.ts';
import { reshaped, turnedTensor } from './shapes.ts';
import { ONE, type Size, ZERO } from './sizes.ts';
import type { Value } from './values.ts';

// Operators of ONNX Runtime's own that its optimizer writes: github.com/microsoft/onnxruntime, docs/ContribOperators.md.

/** Reads gelu(x + bias). */
export function biasGelu(tanh: boolean): OperatorReader {
  return ({ to, inputs, name, ...rest }) => {
    const operation: Operation = { to, inputs, name, ...rest };
    const bias = inputs[1];
    const x = inputOf(operation, 0);
    const sum = bias ? to.elementwise('add', [x, bias], {}, `${name}/sum`) : x;
    return to.elementwise('gelu', [sum], { tanh }, name);
  };
}

/** Reads layerNorm(x + skip + bias); the fourth output is that sum. */
export const skipLayerNormalization: OperatorReader = (operation) => {
  const { to, inputs, name, node } = operation;
  const bias = inputs[4];
  const gamma = inputOf(operation, 2);
  const beta = inputs[3] ?? notExpressible('SkipLayerNormalization without beta');
  let sum = to.elementwise('add', [inputOf(operation, 0), inputOf(operation, 1)], {}, `${name}/sum`);
  if (bias) sum = to.elementwise('add', [sum, bias], {}, `${name}/biased`);
  const norm = to.emit(
    'layerNorm',
    [sum, gamma, beta],
    { epsilon: shortestDecimal(floatOf(operation, 'epsilon', 1e-12)) },
    name,
  );
  return node.outputs.length > 3 ? [norm, undefined, undefined, sum] : norm;
};

/** Reads x σ(alpha x). */
export const quickGelu: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const alpha: Value = {
    kind: 'tensor',
    tensor: scalarTensor(floatOf(operation, 'alpha', 1.702)),
    name: `${name}/alpha`,
  };
  const scaled = to.elementwise('mul', [x, alpha], {}, `${name}/scaled`);
  return to.elementwise('mul', [x, to.elementwise('sigmoid', [scaled], {}, `${name}/gate`)], {}, name);
};

/**
 * Reads layerNorm(words + positions + segments) of ids. The second output is the number of tokens that are no padding,
 * the third the sum before the norm.
 */
export const embedLayerNormalization: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const [, segmentIds, , , segments, , , mask, places] = inputs;
  const ids = inputOf(operation, 0);
  const positions = inputOf(operation, 3);
  const [batch, sequence] = knownShape(ids) as readonly [Size, Size];
  const row: Value = { kind: 'index', dtype: 'i64', shape: [sequence], offset: ZERO, strides: [ONE] };
  const looked = (table: Value, at: Value, part: string) =>
    gathered({ ...operation, name: `${name}/${part}` }, table, 0, at);
  let sum = to.elementwise(
    'add',
    [looked(inputOf(operation, 2), ids, 'words'), looked(positions, places ?? row, 'positions')],
    {},
    `${name}/placed`,
  );
  if (segmentIds && segments)
    sum = to.elementwise('add', [sum, looked(segments, segmentIds, 'segments')], {}, `${name}/sum`);
  const epsilon = shortestDecimal(floatOf(operation, 'epsilon', 1e-12));
  const norm = to.emit('layerNorm', [sum, inputOf(operation, 5), inputOf(operation, 6)], { epsilon }, name);
  return [norm, mask && lengthsOf(operation, mask, batch), sum];
};

function lengthsOf({ to, name }: Operation, mask: Value, batch: Size): Value {
  return reshaped(to, to.emit('sum', [mask], { axis: 1 }, `${name}/lengths`), [batch], `${name}/mask_index`);
}

/** Reads alpha a b, with the last two axes of either turned where their attributes say so. */
export const fusedMatMul: OperatorReader = (operation) => {
  const { to, name } = operation;
  if (intOf(operation, 'transBatchA', 0) !== 0 || intOf(operation, 'transBatchB', 0) !== 0)
    notExpressible('a FusedMatMul of batches');
  const alpha = floatOf(operation, 'alpha', 1);
  const a = turnedBy(operation, 0, 'transA');
  const b = turnedBy(operation, 1, 'transB');
  const result = product(to, a, b, alpha === 1 ? name : `${name}/product`);
  if (alpha === 1) return result;
  return to.elementwise(
    'mul',
    [result, { kind: 'tensor', tensor: scalarTensor(alpha), name: `${name}/alpha` }],
    {},
    name,
  );
};

function turnedBy(operation: Operation, at: number, attribute: string): Value {
  const x = inputOf(operation, at);
  if (intOf(operation, attribute, 0) === 0) return x;
  const rank = knownShape(x).length;
  if (x.kind === 'tensor' && rank === 2) return turnedTensor(x);
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  const permutation = [...axes.slice(0, -2), rank - 1, rank - 2];
  return operation.to.emit('transpose', [x], { permutation }, `${operation.name}/${at === 0 ? 'a' : 'b'}`);
}
