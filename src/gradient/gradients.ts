import { MbertError } from '../errors.ts';
import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Shape } from '../ir/shape.ts';
import { GradientBuilder } from './builder.ts';
import { type InputGradient, type Rule, refused, rules } from './rules.ts';

/**
 * Adds to a graph the gradient of Σ seed∘value by each of the `variables`, by reverse-mode differentiation. `seeds`
 * holds the loss's own gradients by some values; `count` gives a scalar f32 node with how many elements some axes have.
 * Variables on which no seeded value depends are left out of the result. Throws UNSUPPORTED where an op between has no
 * gradient.
 */
export function addGradients(
  graph: Graph,
  seeds: ReadonlyMap<Node, Node>,
  variables: readonly Node[],
  count: (axes: Shape) => Node,
): Map<Node, Node> {
  const build = new GradientBuilder(graph, count);
  const order = graph.withOutputs([...seeds.keys()].map((node, i) => ({ name: String(i), node }))).nodes();
  const active = new Set<Node>(variables);
  for (const node of order) if (node.inputs.some((input) => active.has(input))) active.add(node);
  const gradients = new Map<Node, Node>();
  for (const node of order.toReversed()) {
    if (!active.has(node)) continue;
    const seed = seeds.get(node);
    if (seed) build.accumulate(gradients, node, seed);
    const dy = gradients.get(node);
    if (dy === undefined || node.op === 'input' || node.op === 'constant') continue;
    for (const [i, gradient] of gradientsOf(node, dy, build).entries()) {
      const input = node.inputs[i] as Node;
      if (active.has(input)) build.accumulate(gradients, input, (gradient ?? withoutGradient(node))());
    }
  }
  return new Map(
    variables.flatMap((node) => {
      const gradient = gradients.get(node);
      return gradient ? [[node, gradient] as const] : [];
    }),
  );
}

function gradientsOf(node: Call, dy: Node, build: GradientBuilder): readonly InputGradient[] {
  const rule = rules[node.op] as Rule<typeof node.op> | undefined;
  return rule ? rule(node as never, dy, build) : node.inputs.map(() => null);
}

/** Throws for an op without a gradient: a rule may have one for some inputs or forms of an op only. */
function withoutGradient(node: Call): never {
  const reason = refused[node.op] ?? 'not in this form';
  throw new MbertError('UNSUPPORTED', `${node.name}: ${node.op} has no gradient: ${reason}`, {
    hint: 'without --distill the model is fitted in closed form only',
  });
}
