import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { axisOf } from '../../ir/shape.ts';

/** pad(slice(x)) where what is cut at one end is filled with zeros at the other: every element moves by as much. */
function shifted(graph: Graph, node: Call<'pad'>): Node | null {
  const cut = node.inputs[0] as Node;
  if (cut.op !== 'slice') return null;
  const x = cut.inputs[0] as Node;
  const axis = axisOf(cut.attrs.axis, x.type.shape.length) as number;
  const { before, after } = node.attrs;
  const length = x.type.shape[axis];
  const { start, end } = cut.attrs;
  if (typeof length !== 'number' || typeof end !== 'number') return null;
  const others = [...before.toSpliced(axis, 1), ...after.toSpliced(axis, 1)];
  if (others.some((count) => count !== 0)) return null;
  const [lead, trail] = [before[axis] as number, after[axis] as number];
  const [dropped, rest] = [start, length - end];
  if (rest === 0 && lead === 0 && dropped === trail)
    return graph.add('shift', [x], { axis, offset: dropped }, node.name);
  if (dropped === 0 && trail === 0 && rest === lead) return graph.add('shift', [x], { axis, offset: -rest }, node.name);
  return null;
}

/** A part of the padded x as long as x was: every element moves by what was put before it, less what is cut there. */
function cutAgain(graph: Graph, node: Call<'slice'>): Node | null {
  const padded = node.inputs[0] as Node;
  if (padded.op !== 'pad') return null;
  const x = padded.inputs[0] as Node;
  const axis = axisOf(node.attrs.axis, x.type.shape.length) as number;
  const { before, after } = padded.attrs;
  if ([...before.toSpliced(axis, 1), ...after.toSpliced(axis, 1)].some((count) => count !== 0)) return null;
  const { start, end } = node.attrs;
  if (typeof end !== 'number' || end - start !== x.type.shape[axis]) return null;
  return graph.add('shift', [x], { axis, offset: start - (before[axis] as number) }, node.name);
}

/** MobileBERT's trigram front: the embeddings of the next and of the previous token. */
export const raiseTrigram: Pass = {
  name: 'raise-trigram',
  summary: 'pad(slice(x)), slice(pad(x))  ->  shift(x)',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if ((node.op !== 'pad' && node.op !== 'slice') || context.keeps(node)) continue;
      if (graph.replace(node, () => (node.op === 'pad' ? shifted(graph, node) : cutAgain(graph, node)))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
