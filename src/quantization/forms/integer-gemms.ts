import type { Graph, Node } from '../../ir/graph.ts';
import type { Plan, ValueClass } from '../plan.ts';
import { hasWeight, type SettingsMap } from '../settings.ts';
import type { Form, FormRequest } from './form.ts';
import { weightSettings } from './weights-only.ts';

/**
 * A form of integer matrix products in a float graph: each linear reads an integer copy and writes float, so residual
 * streams, attention and norms lose nothing. A linear with ReLU whose readers are all such linears writes integers
 * itself.
 */
export const integerGemms: Form = {
  name: 'integer-gemms',
  summary: 'linears read u8 copies and write float; everything else stays float',
  settingsOf(node, request) {
    const scheme = !hasWeight(node) ? 'dynamic' : request.scheme === 'int16x8' ? 'int16x8' : 'int8';
    return node.op === 'conv1d' ? undefined : weightSettings(node, scheme, request);
  },
  plan: planGemms,
};

function planGemms(graph: Graph, settings: SettingsMap, request: FormRequest): Plan {
  const dtype = request.scheme === 'int16x8' ? 'i16' : 'u8';
  const integer = new Set<Node>();
  for (const [node, { scheme }] of settings) {
    if (hasWeight(node) && (scheme === 'int8' || scheme === 'int16x8')) integer.add(node);
  }
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  const stored = new Map<Node, ValueClass>();
  const copies = new Map<Node, ValueClass>();
  const storedFor = new Map<Node, Node>();
  for (const node of graph.nodes()) {
    if (!integer.has(node)) continue;
    const x = node.inputs[0] as Node;
    if (stored.has(x) || copies.has(x)) continue;
    const method = settings.get(node as never)?.range ?? request.range;
    const values: ValueClass = { dtype, members: [x], symmetric: false, method };
    // Only a ReLU's result has its zero point where the runtime folds the ReLU into the product.
    const writesIntegers =
      integer.has(x) && x.op === 'linear' && x.attrs.activation === 'relu' && dtype === 'u8' && !outputs.has(x);
    const isReadAsIntegers = [...x.users].every((user) => integer.has(user) && user.inputs[0] === x);
    if (writesIntegers && isReadAsIntegers) {
      stored.set(x, values);
      storedFor.set(x, node);
    } else copies.set(x, values);
  }
  return { graph, settings, blocks: request.blocks, integer, stored, copies, storedFor };
}
