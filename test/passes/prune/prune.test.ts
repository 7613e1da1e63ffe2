import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { openRuns } from '../../../src/calibration/token-runs.ts';
import { copyGraph } from '../../../src/ir/copy-graph.ts';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../../src/ir/graph.ts';
import { countOperations, usualSizes } from '../../../src/ir/operation-costs.ts';
import { keepNothing } from '../../../src/ir/pass.ts';
import { readF32, type Tensor, takeF32, tensorOf } from '../../../src/ir/tensor.ts';
import { buildModel } from '../../../src/models/index.ts';
import { fitTogether } from '../../../src/passes/fit/fit.ts';
import { fuseLinear } from '../../../src/passes/fuse-linear.ts';
import { pruneGroups } from '../../../src/passes/prune/groups.ts';
import { prune } from '../../../src/passes/prune/prune.ts';
import { planPruning, pruneTo, removeUnits } from '../../../src/passes/prune/prune-plan.ts';
import { feedsOf, type TokenRow } from '../../../src/samples/feeds.ts';
import { graphOf, random } from '../../core.ts';
import { openCheckpoint } from '../../models/corpus.ts';

const checkpoint = await openCheckpoint('bert-seqcls');
afterAll(() => checkpoint.close());

const next = random(3);
const ROWS: TokenRow[] = Array.from({ length: 240 }, (_, i) => {
  const inputIds = Array.from({ length: 4 + (i % 3) }, () => 5 + Math.floor(next() * 900));
  return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
});

function model(): Graph {
  const sizes = { batch: 'batch', sequenceLength: 'sequence', choices: 'choices', indexType: 'i64' } as const;
  const { graph } = buildModel(checkpoint, { task: 'sequence-classification', ...sizes });
  fuseLinear.run(graph, keepNothing);
  return graph;
}

/** Sets the columns of a linear's weight to zero for some units: whatever they compute is not read. */
function silence(graph: Graph, name: string, units: readonly number[], count: number): void {
  const weight = graph.nodes().find((node) => node.name === `${name}.weight`) as Node & { op: 'constant' };
  const [rows, columns] = weight.tensor.shape as readonly [number, number];
  const values = takeF32(weight.tensor);
  const size = columns / count;
  for (let row = 0; row < rows; row++) {
    for (const unit of units) values.fill(0, row * columns + unit * size, row * columns + (unit + 1) * size);
  }
  graph.replace(weight, () => graph.constant(tensorOf('f32', weight.tensor.shape, values), weight.name));
}

async function textRuns(graph: Graph) {
  const runs = await openRuns(graph, ROWS, { pad: 0, threads: 1 });
  onTestFinished(() => runs.close());
  return runs;
}

function logitsOf(graph: Graph): number[] {
  const feeds = feedsOf(ROWS.slice(0, 1), { dtype: 'i64', shape: [1, 4], pad: 0 });
  const node = graph.outputs[0]?.node as Node;
  return [...readF32(evaluate(graph, feeds, [node]).get(node.name) as Tensor)];
}

const OPTIONS = { keeps: () => false, runtime: 'onnx', progress: () => undefined } as const;
const ENCODER = 'bert.encoder.layer';

test('heads and neurons that nothing reads go first, all of them and no others, and no answer changes', async () => {
  const graph = model();
  silence(graph, `${ENCODER}.0.attention.output.dense`, [2], 4);
  silence(graph, `${ENCODER}.1.attention.output.dense`, [0, 3], 4);
  silence(graph, `${ENCODER}.1.output.dense`, [...Array(48).keys()], 96);
  const runs = await textRuns(graph);
  const bindings = usualSizes(graph);
  const plan = await planPruning(graph, { ...OPTIONS, runs, bindings });
  const dead = plan.groups.reduce((sum, { errors, operations, kind }) => {
    const free = errors.findLastIndex((error) => error < 1e-9);
    return sum + free * (kind === 'heads' ? 1 : 8) * operations;
  }, 0);
  // A hair more, as sums of operations are rounded.
  const share = 1 - dead / plan.operations + 1e-9;
  const student = copyGraph(graph);
  const { groups, cuts } = pruneTo(student, plan, share);
  expect(groups.map(({ kind, kept, count }) => `${kind} ${kept} of ${count}`)).toEqual([
    'heads 3 of 4',
    'neurons 96 of 96',
    'heads 2 of 4',
    'neurons 48 of 96',
  ]);
  expect([...(cuts.kept.get(`${ENCODER}.1.attention.self.value`) ?? [])]).toEqual(
    [...Array(24).keys()].map((i) => 12 + i),
  );
  const [before, after] = [logitsOf(graph), logitsOf(student)];
  for (const [i, value] of before.entries()) expect(after[i]).toBeCloseTo(value, 6);
  const { multiplyAdds, others } = countOperations(student, bindings, 'onnx');
  expect((multiplyAdds + others) / plan.operations).toBeCloseTo(share, 2);
});

test('of neurons that compute the same one stays, and takes over what the other wrote', async () => {
  const graph = model();
  for (const layer of [0, 1]) {
    for (const part of ['weight', 'bias']) {
      const name = `${ENCODER}.${layer}.intermediate.dense.${part}`;
      const constant = graph.nodes().find((node) => node.name === name) as Node & { op: 'constant' };
      const values = takeF32(constant.tensor);
      values.copyWithin(values.length / 2, 0, values.length / 2);
      graph.replace(constant, () => graph.constant(tensorOf('f32', constant.tensor.shape, values), name));
    }
  }
  const runs = await textRuns(graph);
  const plan = await planPruning(graph, { ...OPTIONS, runs, bindings: usualSizes(graph) });
  const neurons = plan.groups.filter(({ kind }) => kind === 'neurons');
  for (const { errors, units } of neurons) {
    // Left is the price of the ridge. Steps of eight that were chosen without regard to one another cost 0.07.
    expect(errors[6] as number).toBeLessThan(0.04 * (errors.at(-1) as number));
    // A pair or two that answers hardly need may go as a whole.
    expect(new Set([...units.subarray(0, 48)].map((unit) => unit % 48)).size).toBeGreaterThan(44);
  }
  const student = copyGraph(graph);
  const halved = { ...plan, groups: neurons };
  const saved = neurons.reduce((sum, { operations }) => sum + 48 * operations, 0);
  const { cuts, groups } = pruneTo(student, halved, 1 - saved / plan.operations + 1e-9);
  expect(groups.map(({ kept }) => kept)).toEqual([48, 48]);
  const before = logitsOf(graph);
  const error = () => logitsOf(student).reduce((sum, value, i) => sum + (value - (before[i] as number)) ** 2, 0);
  const cut = error();
  await fitTogether(student, [], { ...keepNothing, runs, teacher: graph, cuts });
  expect(error()).toBeLessThan(1e-3 * cut);
});

test('what is left is fitted: it answers far more like the whole model than a graph that is only cut', async () => {
  const graph = model();
  const runs = await textRuns(graph);
  const plan = await planPruning(graph, { ...OPTIONS, runs, bindings: usualSizes(graph) });
  const cut = copyGraph(graph);
  pruneTo(cut, plan, 0.6);
  const fitted = copyGraph(graph);
  const report = await prune.run(fitted, { ...keepNothing, runs, operationShare: 0.6 });
  expect(report.rewrites).toBeGreaterThan(1);
  const answers = async (of: Graph) => {
    const node = of.outputs[0]?.node as Node;
    const { values } = runs.matrixOf((await runs.compute(of, [node], new Map())).get(node) as never);
    return values;
  };
  const original = await answers(graph);
  const distance = async (of: Graph) =>
    (await answers(of)).reduce((sum, value, i) => sum + (value - (original[i] as number)) ** 2, 0);
  expect(await distance(fitted)).toBeLessThan(0.4 * (await distance(cut)));
});

test('a model without gradients is pruned by the errors of its layers, and says so', async () => {
  const deberta = await openCheckpoint('family-deberta-v2-seqcls');
  onTestFinished(() => deberta.close());
  const sizes = { batch: 'batch', sequenceLength: 'sequence', choices: 'choices', indexType: 'i64' } as const;
  const { graph } = buildModel(deberta, { task: 'sequence-classification', ...sizes });
  const runs = await textRuns(graph);
  const { groups, declined } = await planPruning(graph, { ...OPTIONS, runs, bindings: usualSizes(graph) });
  expect(groups.length).toBeGreaterThan(0);
  expect(declined.at(-1)).toMatch(/gather has no gradient.*: errors of all layers count alike/);
  // All of a layer's values would be an error of 1.
  for (const { errors } of groups) expect(errors.at(-1)).toBeLessThan(1);
});

test('a neuron of a gated network goes with both of its halves, value and gate, and nothing is lost by a dead one', async () => {
  const modern = await openCheckpoint('family-modernbert-seqcls');
  onTestFinished(() => modern.close());
  const sizes = { batch: 'batch', sequenceLength: 'sequence', choices: 'choices', indexType: 'i64' } as const;
  const { graph } = buildModel(modern, { task: 'sequence-classification', ...sizes });
  const reader = graph.nodes().find(({ name }) => /layers\.0\.mlp\.Wo$/.test(name)) as Node;
  const count = reader.inputs[0]?.type.shape.at(-1) as number;
  silence(graph, reader.name, [...Array(count / 2).keys()], count);
  const runs = await textRuns(graph);
  const plan = await planPruning(graph, { ...OPTIONS, runs, bindings: usualSizes(graph) });
  const neurons = plan.groups.filter(({ kind }) => kind === 'neurons');
  expect(neurons.map((group) => group.count)).toEqual(neurons.map(() => count));
  expect(neurons.length).toBeGreaterThan(1);
  const [first] = neurons.filter(({ name }) => name === reader.name);
  const student = copyGraph(graph);
  const { groups, cuts } = removeUnits(student, plan, new Map([[reader.name, count / 2]]));
  expect([...(first?.units.subarray(0, count / 2) ?? [])].sort((a, b) => a - b)).toEqual([...Array(count / 2).keys()]);
  expect(groups.find(({ name }) => name === reader.name)?.kept).toBe(count / 2);
  expect([...cuts.kept.keys()].filter((name) => name.includes('layers.0.mlp'))).toHaveLength(2);
  const [before, after] = [logitsOf(graph), logitsOf(student)];
  for (const [i, value] of before.entries()) expect(after[i]).toBeCloseTo(value, 5);
});

test('needs text and a budget', async () => {
  await expect(prune.run(model(), { ...keepNothing, operationShare: 0.5 })).rejects.toThrow(/prune: is fitted to text/);
  const graph = model();
  await expect(prune.run(graph, { ...keepNothing, runs: await textRuns(graph) })).rejects.toThrow(/of how many/);
});

describe('groups', () => {
  const found = (text: string) => {
    const { groups, declined } = pruneGroups(graphOf(text), () => false);
    return { groups: groups.map(({ kind, count, writers }) => [kind, count, writers.length]), declined };
  };
  const network = (middle: string, more = '') => `graph g (input_ids: i64[batch, sequence])
  x = gather(table f32[20, 8] #8, input_ids)
  a = linear(x, wa f32[16, 8] #1, ba f32[16] #2)
  b = linear(x, wb f32[16, 8] #3)
${middle}
  y = linear(h, wy f32[8, 16] #4)
return y: y${more}`;

  test('are networks of one linear or two, gated ones', () => {
    expect(found(network('  h = gelu(a)')).groups).toEqual([['neurons', 16, 1]]);
    const fused = network('  h = gelu(a)').replace('h = gelu(a)', 'h = linear(x, wa f32[16, 8] #1) {activation: relu}');
    expect(found(fused).groups).toEqual([['neurons', 16, 1]]);
    expect(found(network('  g = gelu(a)\n  h = mul(g, b)')).groups).toEqual([['neurons', 16, 2]]);
    expect(found(network('  t = mul(a, c f32[] #5)\n  h = tanh(t)')).groups).toEqual([['neurons', 16, 1]]);
  });

  test.each([
    ['a neuron that is read elsewhere', network('  h = gelu(a)', ', a: a')],
    ['a value for each channel', network('  t = mul(a, c f32[16] #5)\n  h = gelu(t)')],
    ['two linears without anything between', network('').replace('linear(h,', 'linear(a,')],
    ['a norm over the channels', network('  h = layerNorm(a, g f32[16] #6, s f32[16] #7)')],
  ])('are not: %s', (_, text) => {
    expect(found(text).groups).toEqual([]);
  });

  test('with a bias of their own for each head decline, with the reason', async () => {
    const mpnet = await openCheckpoint('family-mpnet-seqcls');
    onTestFinished(() => mpnet.close());
    const sizes = { batch: 'batch', sequenceLength: 'sequence', choices: 'choices', indexType: 'i64' } as const;
    const { graph } = buildModel(mpnet, { task: 'sequence-classification', ...sizes });
    const { groups, declined } = pruneGroups(graph, () => false);
    expect(new Set(groups.map(({ kind }) => kind))).toEqual(new Set(['neurons']));
    expect(declined.join('\n')).toMatch(/attention.*: /);
  });
});
