import type { OnnxFileNode } from '../../formats/onnx-decode.ts';

/**
 * Puts nodes behind those that they or their graphs read, which not all exporters see to; sorted ones stay in their
 * order. A node that reads its own output, over others or not, goes to `cycle`.
 */
export function sorted(nodes: readonly OnnxFileNode[], cycle: (node: OnnxFileNode, reads: string) => never) {
  const makers = new Map<string, OnnxFileNode>();
  for (const node of nodes) {
    for (const name of node.outputs) if (name !== '' && !makers.has(name)) makers.set(name, node);
  }
  const done = new Set<OnnxFileNode>();
  const open = new Set<OnnxFileNode>();
  // An explicit stack: recursion ends at some thousand nodes in a chain.
  const stack: { readonly node: OnnxFileNode; readonly reads: readonly string[]; next: number }[] = [];
  const enter = (node: OnnxFileNode) => {
    open.add(node);
    stack.push({ node, reads: readBy(node), next: 0 });
  };
  for (const root of nodes) {
    if (!done.has(root)) enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { node } = top;
      const name = top.reads[top.next++];
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

/** Names that a node reads, those that its branches take from around it among them. */
function readBy(node: OnnxFileNode): readonly string[] {
  let names = node.inputs;
  for (const attribute of node.attributes.values()) {
    if (attribute.kind !== 'graph') continue;
    const { nodes, outputs } = attribute.value;
    names = [...names, ...nodes.flatMap(readBy), ...outputs.map(({ name }) => name)];
  }
  return names;
}
