import { expect, test } from 'vitest';
import { copyGraph } from '../../../src/ir/copy-graph.ts';
import { nodesByName } from '../../../src/ir/nodes-by-name.ts';
import { verifyGraph } from '../../../src/ir/verify-graph.ts';
import { applyChanges, type Candidate, listCandidates, WORDS } from '../../../src/pipelines/search/changes.ts';
import { summarize, wordColumnsOf } from '../../../src/pipelines/search/summary.ts';
import { spaceOf } from './space.ts';

test.each([
  ['bert-seqcls', ['bert.embeddings.LayerNorm', 'bert.encoder.layer.0.output.LayerNorm'], [2, 2]],
  ['hf-seqcls', ['mobilebert.embeddings.LayerNorm', 'mobilebert.encoder.layer.0.output.bottleneck.LayerNorm'], [5, 5]],
  [
    'distilbert-seqcls',
    ['distilbert.embeddings.LayerNorm', 'distilbert.transformer.layer.0.output_layer_norm'],
    [2, 2],
  ],
])('finds what each layer of %s reads, and its heads and networks of neurons', async (fixture, inputs, groups) => {
  const { blocks } = await spaceOf(fixture);
  expect(blocks.map(({ input }) => input)).toEqual(inputs);
  expect(blocks.map((block) => block.groups.length)).toEqual(groups);
});

test('candidates are the layer left out, a linear, and fewer and fewer units of each group', async () => {
  const { teacher, blocks } = await spaceOf('bert-seqcls');
  const candidates = listCandidates(teacher, blocks).filter(({ layer }) => layer === 1);
  const counts = (group: string) =>
    candidates.flatMap(({ change }) => (change.kind === 'units' && change.group === group ? [change.kept] : []));
  expect(candidates.slice(0, 3).map(({ change }) => change.kind)).toEqual(['drop', 'linear', 'noNorm']);
  expect(counts('bert.encoder.layer.1.attention.output.dense')).toEqual([3, 2, 1, 0]);
  expect(counts('bert.encoder.layer.1.output.dense')).toEqual([88, 72, 64, 48, 40, 32, 16, 8, 0]);
});

test('what is to be kept is no candidate', async () => {
  const { teacher, blocks } = await spaceOf('bert-seqcls');
  const keeps = ({ name }: { readonly name: string }) => /word_embeddings|layer\.1\.output/.test(name);
  const kinds = (layer: number) =>
    listCandidates(teacher, blocks, keeps).flatMap((each) => (each.layer === layer ? [each.change.kind] : []));
  expect(kinds(WORDS)).toEqual([]);
  expect(new Set(kinds(0))).toEqual(new Set(['drop', 'linear', 'noNorm', 'units']));
  expect(new Set(kinds(1))).toEqual(new Set(['units']));
});

test('the word table becomes narrower, and all that follows is fitted to that', async () => {
  const space = await spaceOf('bert-seqcls');
  const ranks = listCandidates(space.teacher, space.blocks).filter(({ layer }) => layer === WORDS);
  expect(ranks.map(({ change }) => change.kind === 'rank' && change.rank)).toEqual([36, 24, 12]);
  const graph = copyGraph(space.teacher);
  const { readers } = applyChanges(graph, ranks.slice(2), space);
  verifyGraph(graph, 'changes');
  const table = nodesByName(graph).get('bert.embeddings.word_embeddings.weight');
  expect(table?.type.shape.at(-1)).toBe(12);
  expect(readers).toContain('bert.encoder.layer.0.attention.self.query');
  expect(wordColumnsOf(ranks.slice(2))).toBe(12);
});

test('changes of several layers are made together, and the fit hears what has other inputs now', async () => {
  const space = await spaceOf('bert-seqcls');
  const graph = copyGraph(space.teacher);
  const changes: Candidate[] = [
    { layer: 0, change: { kind: 'linear' } },
    { layer: 1, change: { kind: 'units', group: 'bert.encoder.layer.1.attention.output.dense', kept: 0 } },
    { layer: 1, change: { kind: 'units', group: 'bert.encoder.layer.1.output.dense', kept: 24 } },
  ];
  const { kept, readers } = applyChanges(graph, changes, space);
  verifyGraph(graph, 'changes');
  const nodes = nodesByName(graph);
  expect(nodes.get('bert.encoder.layer.0.output.LayerNorm')).toMatchObject({ op: 'linear' });
  expect(
    [...nodes.keys()].filter((name) =>
      /layer\.0\.(attention|intermediate)|layer\.1\.attention.*(dense|query)/.test(name),
    ),
  ).toEqual([]);
  expect(nodes.get('bert.encoder.layer.1.intermediate.dense')?.type.shape.at(-1)).toBe(24);
  expect(kept.get('bert.encoder.layer.1.intermediate.dense')).toHaveLength(24);
  expect([...readers].sort()).toEqual([
    'bert.encoder.layer.0.output.LayerNorm',
    'bert.encoder.layer.1.intermediate.dense',
    'bert.encoder.layer.1.output.dense',
    'bert.pooler.dense',
    'classifier',
  ]);
  expect(summarize(space.blocks, changes, [1])).toEqual([
    { layer: 0, kind: 'linear', groups: [], isConverted: false, bits: 8 },
    {
      layer: 1,
      kind: 'cut',
      isConverted: false,
      groups: [
        { kind: 'heads', kept: 0, count: 4 },
        { kind: 'neurons', kept: 24, count: 96 },
      ],
      bits: 4,
    },
  ]);
  expect(summarize(space.blocks, changes, undefined).map(({ bits }) => bits)).toEqual([null, null]);
});

test('layers that follow one another can all be left out', async () => {
  const space = await spaceOf('hf-seqcls');
  const graph = copyGraph(space.teacher);
  const changes = [0, 1].map((layer): Candidate => ({ layer, change: { kind: 'drop' } }));
  const { readers } = applyChanges(graph, changes, space);
  verifyGraph(graph, 'changes');
  expect([...nodesByName(graph).keys()].filter((name) => name.includes('encoder'))).toEqual([]);
  expect(readers).toContain('classifier');
});
