import type { OnnxFileNode } from '../../formats/onnx-decode.ts';

/**
 * Nodes behind those that they read, which not all exporters see to; sorted ones stay in their order. A node that reads
 * its own output, over others or not, goes to `cycle`.
 */
export function sorted(nodes: readonly OnnxFileNode[], cycle: (node: OnnxFileNode, reads: string) => never) {
  const makers = new Map<string, OnnxFileNode>();
  for (const node of nodes) {
    for (const name of node.outputs) if (name !== '' && !makers.has(name)) makers.set(name, node);
  }
  const done = new Set<OnnxFileNode>();
  const open = new Set<OnnxFileNode>();
  // An explicit stack: recursion ends at some thousand nodes in a chain.
  const stack: { readonly node: OnnxFileNode; next: number }[] = [];
  const enter = (node: OnnxFileNode) => {
    open.add(node);
    stack.push({ node, next: 0 });
  };
  for (const root of nodes) {
    if (!done.has(root)) enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { node } = top;
      const name = node.inputs[top.next++];
      if (name === undefined) {
        stack.pop();
        open.delete(node);
        done.add(node);
        continue;
      }
      const maker = makers.get(name);
      if (maker === undefined || done.has(maker)) continue;
      if (open.has(maker)) cycle(node, name);
      enter(maker);
    }
  }
  return done;
}
