import type { Node } from '../ir/graph.ts';
import { type Activation, activate } from './activations.ts';
import { add, type Builder } from './builder.ts';

/** Adds activation(gate) ∘ value, the gated linear unit (Shazeer 2020, https://arxiv.org/abs/2002.05202). */
export function gated(builder: Builder, name: string, gate: Node, value: Node, activation: Activation): Node {
  return add(builder, `${name}.gated`, 'mul', [activate(builder, `${name}.gate`, gate, activation), value]);
}
