import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { any, either, op, type Pattern, scalar, scalarOf, weight, where } from '../../ir/match.ts';
import { rewrite } from '../../ir/pass.ts';
import { axisOf, sameShape, sizeOf } from '../../ir/shape.ts';
import { shortestDecimal, tensorOf } from '../../ir/tensor.ts';
import { moduleOf } from './names.ts';

/** Matches the mean over the last axis, which stays with size 1. */
function meanOf<C>(x: Pattern<C>): Pattern<C> {
  const mean = op('mean', [x], { keepDims: true }) as Pattern<C>;
  return where(mean, 'over the last axis', (node) => {
    const rank = node.type.shape.length;
    return node.op === 'mean' && axisOf(node.attrs.axis, rank) === rank - 1;
  });
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

/** The norm as torch computes it: (x - mean) / deviation ∘ gamma + beta. */
const normalThenScale = op('add', [scaledNormal, beta]);

/**
 * The factor s of the norm as TensorFlow's batch_normalization computes it: x∘s + (beta - mean∘s) with s = gamma /
 * deviation.
 */
const scale = op('mul', [inverse, gamma]);
const scaleThenShift = op('add', [op('mul', [x, scale]), op('sub', [beta, op('mul', [meanOf(x), scale])])]);

/** A norm without the beta. */
interface ScaledParts {
  readonly x: Node;
  readonly gamma: Constant;
  readonly epsilon: Constant;
}

interface NormParts extends ScaledParts {
  readonly beta: Constant;
}

export const raiseLayerNorm = rewrite({
  name: 'raise-layer-norm',
  summary: '(x - mean) / sqrt(variance + epsilon) * gamma + beta  ->  layerNorm(x, gamma, beta)',
  keeps: 'values',
  pattern: either(normalThenScale, scaleThenShift) as Pattern<NormParts>,
  replace: layerNorm,
});

/** Finds norms without a beta, as ModernBERT has them. It runs behind the pass that finds one. */
export const raiseLayerNormWithoutBias = rewrite({
  name: 'raise-layer-norm-without-bias',
  summary: '(x - mean) / sqrt(variance + epsilon) * gamma  ->  layerNorm(x, gamma, 0)',
  keeps: 'values',
  pattern: scaledNormal as Pattern<ScaledParts>,
  replace(graph, parts, root) {
    const { shape } = parts.gamma.type;
    const zeros = tensorOf('f32', shape as readonly number[], new Float32Array(sizeOf(shape as readonly number[])));
    const module = moduleOf(parts.gamma, root.name);
    return layerNorm(graph, { ...parts, beta: graph.constant(zeros, `${module}.bias`) }, root);
  },
});

function layerNorm(graph: Graph, parts: NormParts, root: Node): Node | string {
  const epsilon = scalarOf(parts.epsilon);
  const hidden = parts.x.type.shape.slice(-1);
  if (epsilon === null) return 'epsilon is not one number';
  if (!sameShape(parts.gamma.type.shape, hidden) || !sameShape(parts.beta.type.shape, hidden)) {
    return 'gamma and beta are not one number a channel';
  }
  return graph.add(
    'layerNorm',
    [parts.x, parts.gamma, parts.beta],
    { epsilon: shortestDecimal(epsilon) },
    moduleOf(parts.beta, root.name),
  );
}
