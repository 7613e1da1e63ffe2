import type { Node } from '../ir/graph.ts';
import { add, type Builder, scalar } from './builder.ts';

/** Activation functions that `hidden_act` names. */
export type Activation =
  | 'relu'
  | 'relu6'
  | 'relu-squared'
  | 'gelu'
  | 'gelu-tanh'
  | 'tanh'
  | 'sigmoid'
  | 'silu'
  | 'quick-gelu'
  | 'mish';

/** Builds an activation of x beside the module `name` whose output x is. */
type Formula = (builder: Builder, name: string, x: Node) => Node;

const formulas: { readonly [A in Activation]: Formula } = {
  relu: (builder, name, x) => add(builder, `${name}.relu`, 'relu', [x]),

  /** Adds min(relu(x), 6) = relu(x) - relu(x - 6). */
  relu6(builder, name, x) {
    const six = scalar(builder, `${name}.six`, 6);
    const above = add(builder, `${name}.above`, 'relu', [add(builder, `${name}.less`, 'sub', [x, six])]);
    return add(builder, `${name}.relu6`, 'sub', [add(builder, `${name}.relu`, 'relu', [x]), above]);
  },

  'relu-squared'(builder, name, x) {
    const positive = add(builder, `${name}.relu`, 'relu', [x]);
    return add(builder, `${name}.relu2`, 'mul', [positive, positive]);
  },

  gelu: (builder, name, x) => add(builder, `${name}.gelu`, 'gelu', [x]),

  'gelu-tanh': (builder, name, x) => add(builder, `${name}.gelu`, 'gelu', [x], { tanh: true }),

  tanh: (builder, name, x) => add(builder, `${name}.tanh`, 'tanh', [x]),

  sigmoid: (builder, name, x) => add(builder, `${name}.sigmoid`, 'sigmoid', [x]),

  /** Adds x σ(x). */
  silu: (builder, name, x) => add(builder, `${name}.silu`, 'mul', [x, add(builder, `${name}.sigmoid`, 'sigmoid', [x])]),

  /** Adds x σ(1.702 x). */
  'quick-gelu'(builder, name, x) {
    const scaled = add(builder, `${name}.scaled`, 'mul', [x, scalar(builder, `${name}.factor`, 1.702)]);
    return add(builder, `${name}.quick_gelu`, 'mul', [x, add(builder, `${name}.sigmoid`, 'sigmoid', [scaled])]);
  },

  /** Adds x tanh(log(1 + eˣ)) = x u / (2 - u) with u = s (2 - s) and s = σ(x): no logarithm, and exact at both ends. */
  mish(builder, name, x) {
    const two = scalar(builder, `${name}.two`, 2);
    const s = add(builder, `${name}.sigmoid`, 'sigmoid', [x]);
    const u = add(builder, `${name}.share`, 'mul', [s, add(builder, `${name}.rest`, 'sub', [two, s])]);
    const gate = add(builder, `${name}.gate`, 'div', [u, add(builder, `${name}.most`, 'sub', [two, u])]);
    return add(builder, `${name}.mish`, 'mul', [x, gate]);
  },
};

/**
 * Activations by transformers' names (ACT2FN); those of the approximation by tanh spell one formula in several ways.
 */
export const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ['relu', 'relu'],
  ['gelu', 'gelu'],
  ['gelu_python', 'gelu'],
  ['gelu_new', 'gelu-tanh'],
  ['gelu_fast', 'gelu-tanh'],
  ['gelu_accurate', 'gelu-tanh'],
  ['gelu_pytorch_tanh', 'gelu-tanh'],
  ['gelu_python_tanh', 'gelu-tanh'],
  ['quick_gelu', 'quick-gelu'],
  ['silu', 'silu'],
  ['swish', 'silu'],
  ['mish', 'mish'],
  ['tanh', 'tanh'],
  ['sigmoid', 'sigmoid'],
  ['relu2', 'relu-squared'],
  ['relu6', 'relu6'],
]);

/** Activations by google-research's names (get_activation): its gelu is the approximation by tanh. */
export const GOOGLE_ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ['relu', 'relu'],
  ['relu6', 'relu6'],
  ['gelu', 'gelu-tanh'],
]);

export function activate(builder: Builder, name: string, x: Node, activation: Activation): Node {
  return formulas[activation](builder, name, x);
}
