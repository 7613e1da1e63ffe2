import type { Node } from '../ir/graph.ts';
import { scalarTensor } from '../ir/tensor.ts';
import { add, type Builder } from './builder.ts';

/** Adds an activation under a module's name. */
type ActivationBuilder = (builder: Builder, name: string, x: Node) => Node;

/** Slope of torch's LeakyReLU below zero where nothing else is said, as configs hold class names alone. */
const LEAKY_SLOPE = 0.01;

/** Activations by the last part of torch's class names; null is the identity. */
const ACTIVATIONS: ReadonlyMap<string, ActivationBuilder | null> = new Map<string, ActivationBuilder | null>([
  ['Identity', null],
  ['ReLU', (builder, name, x) => add(builder, `${name}.relu`, 'relu', [x])],
  ['GELU', (builder, name, x) => add(builder, `${name}.gelu`, 'gelu', [x])],
  ['Tanh', (builder, name, x) => add(builder, `${name}.tanh`, 'tanh', [x])],
  ['Sigmoid', (builder, name, x) => add(builder, `${name}.sigmoid`, 'sigmoid', [x])],
  ['Softmax', (builder, name, x) => add(builder, `${name}.softmax`, 'softmax', [x])],
  [
    'SiLU',
    (builder, name, x) => add(builder, `${name}.silu`, 'mul', [x, add(builder, `${name}.gate`, 'sigmoid', [x])]),
  ],
  [
    'LeakyReLU',
    (builder, name, x) => {
      const slope = builder.graph.constant(scalarTensor(LEAKY_SLOPE), `${name}.slope`);
      return add(builder, `${name}.leaky`, 'maximum', [x, add(builder, `${name}.below`, 'mul', [x, slope])]);
    },
  ],
]);

/** Name of the class that a config gives as `torch.nn.modules.activation.Tanh`; undefined for code that is not torch's. */
export function torchClass(path: string): string | undefined {
  return /^torch\.nn\.(?:[\w.]+\.)?(\w+)$/.exec(path)?.[1];
}

/** Names of the activations there are. */
export const TORCH_ACTIVATIONS = [...ACTIVATIONS.keys()] as readonly string[];

/** True for an activation that gives back what it reads. */
export function isIdentity(name: string): boolean {
  return ACTIVATIONS.get(name) === null;
}

/** Adds the activation of a torch class, which is one of `TORCH_ACTIVATIONS`. */
export function activateByTorch(builder: Builder, name: string, x: Node, activation: string): Node {
  return ACTIVATIONS.get(activation)?.(builder, name, x) ?? x;
}
