import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { axisOf } from '../../ir/shape.ts';

/** Whether a pad leaves all axes but one as they are. */
function padsOnly(axis: number, { before, after }: Call<'pad'>['attrs']): boolean {
  return [...before.toSpliced(axis, 1), ...after.toSpliced(axis, 1)].every((count) => count === 0);
}

/**
 * Turns pad(slice(x)) into a shift, where as many zeros are added at one end as elements are cut off at the other:
 * every element moves by that many places.
 */
function shifted(graph: Graph, node: Call<'pad'>): Node | null {
  const cut = node.inputs[0] as Node;
  if (cut.op !== 'slice') return null;
  const x = cut.inputs[0] as Node;
  const axis = axisOf(cut.attrs.axis, x.type.shape.length) as number;
  const { before, after } = node.attrs;
  const length = x.type.shape[axis];
  const { start, end } = cut.attrs;
  if (typeof length !== 'number' || typeof end !== 'number') return null;
  if (!padsOnly(axis, node.attrs)) return null;
  const [padBefore, padAfter] = [before[axis] as number, after[axis] as number];
  const [cutBefore, cutAfter] = [start, length - end];
  if (cutAfter === 0 && padBefore === 0 && cutBefore === padAfter)
    return graph.add('shift', [x], { axis, offset: cutBefore }, node.name);
  if (cutBefore === 0 && padAfter === 0 && cutAfter === padBefore)
    return graph.add('shift', [x], { axis, offset: -cutAfter }, node.name);
  return null;
}

/**
 * Turns slice(pad(x)) into a shift, where the slice is as long as x: every element moves by what was put before it,
 * less what is cut off there.
 */
function cutAgain(graph: Graph, node: Call<'slice'>): Node | null {
  const padded = node.inputs[0] as Node;
  if (padded.op !== 'pad') return null;
  const x = padded.inputs[0] as Node;
  const axis = axisOf(node.attrs.axis, x.type.shape.length) as number;
  if (!padsOnly(axis, padded.attrs)) return null;
  const { start, end } = node.attrs;
  if (typeof end !== 'number' || end - start !== x.type.shape[axis]) return null;
  return graph.add('shift', [x], { axis, offset: start - (padded.attrs.before[axis] as number) }, node.name);
}

/** Finds the shifts of MobileBERT's trigram front: the embeddings of the next and of the previous token. */
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
