import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { any, either, op, type Pattern, scalar, scalarOf, weight } from '../../ir/match.ts';
import { rewrite } from '../../ir/pass.ts';
import { axisOf, sameShape, sizeOf } from '../../ir/shape.ts';
import { shortestDecimal, tensorOf } from '../../ir/tensor.ts';
import { moduleOf } from './names.ts';

/** The mean over the last axis, which stays with size 1. */
function meanOf<C>(x: Pattern<C>): Pattern<C> {
  return function* (node, bound) {
    if (node.op !== 'mean' || !node.attrs.keepDims) return;
    const [input] = node.inputs as readonly [Node];
    const rank = input.type.shape.length;
    if (axisOf(node.attrs.axis, rank) === rank - 1) yield* x(input, bound);
  };
}

const x = any('x');
const centred = op('sub', [x, meanOf(x)]);
const variance = meanOf(op('mul', [centred, centred]));
const guarded = op('add', [variance, weight('epsilon')]);
const deviation = op('sqrt', [guarded]);
const inverse = either(op('rsqrt', [guarded]), op('div', [scalar(1), deviation]));
const gamma = weight('gamma');
const beta = weight('beta');

const scaledNormal = op('mul', [either(op('div', [centred, deviation]), op('mul', [centred, inverse])), gamma]);

/** (x - mean) / deviation ∘ gamma + beta, as torch computes it. */
const normalThenScale = op('add', [scaledNormal, beta]);

/** x∘s + (beta - mean∘s) with s = gamma / deviation, as TensorFlow's batch_normalization computes it. */
const scale = op('mul', [inverse, gamma]);
const scaleThenShift = op('add', [op('mul', [x, scale]), op('sub', [beta, op('mul', [meanOf(x), scale])])]);

interface FoundScaled {
  readonly x: Node;
  readonly gamma: Constant;
  readonly epsilon: Constant;
}

interface Found extends FoundScaled {
  readonly beta: Constant;
}

export const raiseLayerNorm = rewrite({
  name: 'raise-layer-norm',
  summary: '(x - mean) / sqrt(variance + epsilon) * gamma + beta  ->  layerNorm(x, gamma, beta)',
  keeps: 'values',
  pattern: either(normalThenScale, scaleThenShift) as Pattern<Found>,
  replace: layerNorm,
});

/** What ModernBERT has: no beta. It runs behind the pass that finds one. */
export const raiseLayerNormWithoutBias = rewrite({
  name: 'raise-layer-norm-without-bias',
  summary: '(x - mean) / sqrt(variance + epsilon) * gamma  ->  layerNorm(x, gamma, 0)',
  keeps: 'values',
  pattern: scaledNormal as Pattern<FoundScaled>,
  replace(graph, found, root) {
    const { shape } = found.gamma.type;
    const zeros = tensorOf('f32', shape as readonly number[], new Float32Array(sizeOf(shape as readonly number[])));
    const module = moduleOf(found.gamma, root.name);
    return layerNorm(graph, { ...found, beta: graph.constant(zeros, `${module}.bias`) }, root);
  },
});

function layerNorm(graph: Graph, found: Found, root: Node): Node | string {
  const epsilon = scalarOf(found.epsilon);
  const hidden = found.x.type.shape.slice(-1);
  if (epsilon === null) return 'epsilon is not one number';
  if (!sameShape(found.gamma.type.shape, hidden) || !sameShape(found.beta.type.shape, hidden)) {
    return 'gamma and beta are not one number a channel';
  }
  return graph.add(
    'layerNorm',
    [found.x, found.gamma, found.beta],
    { epsilon: shortestDecimal(epsilon) },
    moduleOf(found.beta, root.name),
  );
}
