import type { Call, Graph, Node } from '../../ir/graph.ts';
import { constantLinear } from '../attention.ts';
import { channelsOf, pickRows } from './cut-group.ts';

/**
 * Parts linears whose result is read as two halves, value and gate of a gated network, into a linear for each: y[:n] =
 * W[:n] x. A neuron then is a channel of two linears as in other networks. Each gets the name of the half, which has the
 * same values before and after.
 */
export function partHalves(graph: Graph): void {
  for (const node of graph.nodes()) {
    const linear = constantLinear(node);
    const halves = linear && halvesOf(graph, linear.node);
    if (!linear || !halves) continue;
    for (const half of halves) {
      const { start, end } = half.attrs;
      const rows = channelsOf([start === 0 ? 0 : 1], (end as number) - start);
      graph.replace(half, () => {
        const part = (constant: NonNullable<typeof linear.bias>) =>
          graph.constant(pickRows(constant.tensor, rows), `${half.name}.${constant.name.split('.').at(-1)}`);
        const inputs: Node[] = [linear.x, part(linear.weight)];
        if (linear.bias) inputs.push(part(linear.bias));
        return graph.add('linear', inputs, linear.node.attrs, half.name);
      });
    }
  }
}

/** The two slices that are all that reads a linear, if they are its halves. */
function halvesOf(graph: Graph, node: Call<'linear'>): readonly Call<'slice'>[] | null {
  const width = node.type.shape.at(-1);
  if (typeof width !== 'number' || graph.isOutput(node)) return null;
  const halves: Call<'slice'>[] = [];
  for (const user of node.users) {
    if (user.op !== 'slice') return null;
    const { axis, start, end } = user.attrs;
    const isLast = axis === -1 || axis === node.type.shape.length - 1;
    if (!isLast || typeof end !== 'number' || 2 * (end - start) !== width || start % (end - start) !== 0) return null;
    halves.push(user);
  }
  const starts = new Set(halves.map(({ attrs }) => attrs.start));
  return halves.length === 2 && starts.size === 2 ? halves : null;
}
