import { expect, test } from 'vitest';
import { copyGraph } from '../../../src/ir/copy-graph.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { applyChanges, type Candidate, type Change } from '../../../src/pipelines/search/changes.ts';
import { fitChanges } from '../../../src/pipelines/search/fit-changes.ts';
import { answersOf, noiseOf, Scorer } from '../../../src/pipelines/search/score-candidates.ts';
import { ROWS, runsOn, spaceOf } from './space.ts';

const FFN = 'bert.encoder.layer.0.output.dense';

test('NoNorm and ReLU come into one layer, beside fewer units, and are fitted there', async () => {
  const space = await spaceOf('bert-seqcls');
  const { teacher, blocks } = space;
  const runs = await runsOn(teacher, ROWS.slice(0, 48));
  const changes: Candidate[] = [
    { layer: 1, change: { kind: 'noNorm' } },
    { layer: 1, change: { kind: 'units', group: 'bert.encoder.layer.1.output.dense', kept: 40 } },
  ];
  const graph = copyGraph(teacher);
  await fitChanges(graph, changes, space, { runs });
  const opsIn = (layer: string) =>
    graph.nodes().flatMap(({ name, op }) => (name.includes(layer) && /orm$|lu$/.test(op) ? [op] : []));
  expect(opsIn('layer.0')).toEqual(['layerNorm', 'gelu', 'layerNorm']);
  expect(opsIn('layer.1')).toEqual(['noNorm', 'relu', 'noNorm']);
  const copied = copyGraph(teacher);
  applyChanges(copied, changes, space);
  for (const node of copied.nodes()) {
    if (node.op !== 'layerNorm' || !blocks[1]?.nodes.has(node.name)) continue;
    copied.replace(node, () => copied.add('noNorm', node.inputs, {}, node.name));
  }
  const expected = await answersOf(teacher, runs);
  const noise = async (changed: Graph) => noiseOf(expected, await answersOf(changed, runs));
  expect(await noise(graph)).toBeLessThan(0.5 * (await noise(copied)));
});

test('a candidate is fitted to its block, scored on other texts, and what it saves is counted', async () => {
  const space = await spaceOf('bert-seqcls');
  const { teacher } = space;
  const texts = { fitted: await runsOn(teacher, ROWS.slice(0, 64)), scored: await runsOn(teacher, ROWS.slice(64)) };
  const scorer = new Scorer(space, texts);
  const expected = await answersOf(teacher, texts.scored);
  const unfitted = async (candidate: Candidate) => {
    const graph = copyGraph(teacher);
    applyChanges(graph, [candidate], space);
    return noiseOf(expected, await answersOf(graph, texts.scored));
  };
  const scored = async (change: Change) => {
    const candidate: Candidate = { layer: 0, change };
    return { ...(await scorer.score(candidate)), unfitted: await unfitted(candidate) };
  };
  const [most, half, linear, drop] = [
    await scored({ kind: 'units', group: FFN, kept: 80 }),
    await scored({ kind: 'units', group: FFN, kept: 40 }),
    await scored({ kind: 'linear' }),
    await scored({ kind: 'drop' }),
  ];
  for (const { noise, unfitted } of [most, half, linear]) expect(noise).toBeLessThan(0.8 * unfitted);
  expect(most.noise).toBeLessThan(half.noise);
  // Nothing of a layer that is left out can be fitted.
  expect(drop.noise).toBeCloseTo(drop.unfitted, 6);
  expect(half.saved).toMatchObject({ weights: 56 * 2 * 48, vectors: 56 });
  expect(linear.saved.weights).toBe(4 * 48 * 48 + 2 * 48 * 96 - 48 * 48);
  expect(drop.saved.operations).toBeGreaterThan(linear.saved.operations);
});
