import { describe, expect, test } from 'vitest';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { keepNothing, runPasses } from '../../src/ir/pass.ts';
import { graphText } from '../../src/ir/text.ts';
import { fuseBottleneck } from '../../src/passes/fuse-bottleneck.ts';
import { putSequenceFirst } from '../../src/passes/put-sequence-first.ts';
import { repeatMask } from '../../src/passes/repeat-mask.ts';
import { graphOf } from '../core.ts';
import { HEADS, MOBILEBERT_LAYER } from './sample-graphs.ts';

/** The inputs of all transposes and the axes that these move. */
function transposes(graph: Graph): string[] {
  return graph
    .nodes()
    .filter((node) => node.op === 'transpose')
    .map(({ inputs: [x], attrs: { permutation } }) => `${x?.name} ${permutation.join('')}`);
}

async function rewritesOf(graph: Graph, keeps: (node: Node) => boolean = () => false) {
  const [report] = await runPasses(graph, [putSequenceFirst], { keeps });
  return report;
}

describe('put-sequence-first', () => {
  test('puts one transpose before what is computed for the heads alone, and leaves what the residual reads', async () => {
    const graph = graphOf(HEADS);
    expect((await rewritesOf(graph))?.rewrites).toBe(2);
    expect(transposes(graph)).toEqual([
      ...['n 102', 'q00 1203', 'k00 1203', 'v00 1203', 'c0 0213'],
      ...['reshape_1 102', 'q10 1203', 'k10 1203', 'v10 1203', 'c1 0213'],
    ]);
    // Linears keep their names, by which recipes find them.
    const linears = graph.nodes().filter(({ op }) => op === 'linear');
    expect(linears.map(({ name, type }) => `${name} ${type.shape.join(' ')}`)).toEqual([
      'j0 batch*sequence 24',
      'part batch*sequence 24',
    ]);
  });

  test('needs no transpose of a single sequence', async () => {
    const graph = graphOf(HEADS.replaceAll('batch*sequence', '6').replaceAll('batch', '1').replaceAll('sequence', '6'));
    expect((await rewritesOf(graph))?.rewrites).toBe(2);
    expect(transposes(graph).filter((text) => text.endsWith(' 102'))).toEqual([]);
    expect(transposes(graph).filter((text) => text.endsWith(' 1203'))).toHaveLength(6);
  });

  test('leaves a fixed batch, and says so', async () => {
    const text = HEADS.replaceAll('batch*sequence', '12').replaceAll('batch', '2').replaceAll('sequence', '6');
    const graph = graphOf(text);
    expect(await rewritesOf(graph)).toMatchObject({
      rewrites: 0,
      declined: ['j0: the batch is 2', 'j1: the batch is 2'],
    });
    expect(graphText(graph)).toBe(graphText(graphOf(text)));
  });

  test('leaves what is to be kept', async () => {
    const graph = graphOf(HEADS);
    expect((await rewritesOf(graph, ({ name }) => name === 'j0' || name === 'v1'))?.rewrites).toBe(0);
  });

  test('leaves a MobileBERT, whose values come from another linear than queries and keys', async () => {
    const graph = graphOf(MOBILEBERT_LAYER);
    await runPasses(graph, [fuseBottleneck]);
    const before = graphText(graph);
    expect((await rewritesOf(graph))?.rewrites).toBe(0);
    expect(graphText(graph)).toBe(before);
  });

  test.each([
    ['takes slices of whole heads', [0, 4, 8], '', 1],
    ['leaves slices that cut a head', [1, 4, 8], '', 0],
    ['leaves a value that is an output', [0, 4, 8], ', j: j', 0],
  ])('%s', async (_, starts, output, rewrites) => {
    const parts = starts.map(
      (start, i) => `  s${i} = slice(j) {axis: 2, start: ${start}, end: ${start + 4}}
  r${i} = reshape(s${i}) {shape: [batch, sequence, 2, 2]}
  t${i} = transpose(r${i}) {permutation: [0, 2, 1, 3]}`,
    );
    const graph = graphOf(`graph g (x: f32[batch, sequence, 4])
  j = linear(x, w f32[12, 4] #1)
${parts.join('\n')}
return q: t0, k: t1, v: t2${output}`);
    expect((await rewritesOf(graph))?.rewrites).toBe(rewrites);
  });
});

describe('repeat-mask', () => {
  const masks = (graph: Graph) => graph.nodes().filter(({ op }) => op === 'expand');

  test('repeats one mask for both layers, once', async () => {
    const graph = graphOf(HEADS);
    const [report] = await runPasses(graph, [repeatMask], keepNothing);
    expect(report?.rewrites).toBe(2);
    expect(masks(graph).map(({ type, users }) => [type.shape.join(' '), users.size])).toEqual([
      ['batch 1 sequence sequence', 2],
    ]);
  });

  test.each([
    ['a mask that one layer reads', HEADS.replace('add(s1, bias)', 'add(s1, s0)'), 0],
    ['few heads', MOBILEBERT_LAYER, 0],
  ])('leaves %s', async (_, text, count) => {
    const graph = graphOf(text);
    const [report] = await runPasses(graph, [repeatMask], keepNothing);
    expect(report?.rewrites).toBe(count);
    expect(masks(graph)).toEqual([]);
  });
});
