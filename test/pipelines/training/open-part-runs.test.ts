import { beforeEach, expect, test, vi } from 'vitest';
import { tensorOf } from '../../../src/ir/tensor.ts';
import { openPartRuns } from '../../../src/pipelines/training/open-part-runs.ts';
import type { StepGraph } from '../../../src/pipelines/training/step-graph.ts';
import { threadedRuns } from '../../../src/pipelines/training/threaded-runs.ts';
import { randomNumbers } from '../../../src/solve/random-numbers.ts';
import { graphOf } from '../../core.ts';

const machine = vi.hoisted(() => ({ cores: 2 }));
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  availableParallelism: () => machine.cores,
}));
vi.mock(import('../../../src/pipelines/training/threaded-runs.ts'), async (original) => {
  const actual = await original();
  return { ...actual, threadedRuns: vi.fn(actual.threadedRuns) };
});
beforeEach(() => {
  vi.mocked(threadedRuns).mockClear();
});

/** As many weights as threads are worth their start for. */
const WIDTH = 1000;
const graph = graphOf(`graph step (x: f32[batch, ${WIDTH}], w: f32[${WIDTH}, ${WIDTH}])
  turned = transpose(x) {permutation: [1, 0]}
  product = matmul(turned, x)
  gradient = add(product, w)
return g: gradient`);
const [, w] = graph.inputs;
const gradient = graph.outputs[0]?.node;
if (w === undefined || gradient === undefined) throw new Error('the graph has both');
const step: StepGraph = {
  graph,
  fed: [{ name: 'w', input: w }],
  parameters: [{ name: 'w', input: w, gradient }],
  ...{ reads: [], tables: [], fromTeacher: new Map(), labels: undefined, sizes: new Map() },
  ...{ valuesPerToken: WIDTH, batch: 'batch' },
};
const random = randomNumbers(1);
const floats = (length: number) => Float32Array.from({ length }, () => 10 ** (4 * random() - 2));
const arrays = new Map([['w', { name: 'w', shape: [WIDTH, WIDTH], values: floats(WIDTH * WIDTH) }]]);
const parts = Array.from({ length: 4 }, () => ({
  feeds: new Map([['x', tensorOf('f32', [1, WIDTH], floats(WIDTH))]]),
  share: 0.25,
}));

async function onCores(cores: number) {
  machine.cores = cores;
  const runs = await openPartRuns(step, arrays);
  try {
    await runs.run(parts);
    return {
      lanes: runs.lanes,
      values: runs.values,
      sum: (runs.sums.get(gradient?.name ?? '') as Float32Array).slice(),
    };
  } finally {
    await runs.close();
  }
}

test('a machine of one core cuts and adds up as one of two does, so that a training goes on on either', async () => {
  const one = await onCores(1);
  expect(threadedRuns).not.toHaveBeenCalled();
  const two = await onCores(2);
  expect(threadedRuns).toHaveBeenCalledOnce();
  expect(one.lanes).toBe(2);
  expect([two.lanes, two.values]).toEqual([one.lanes, one.values]);
  expect(Buffer.compare(Buffer.from(one.sum.buffer), Buffer.from(two.sum.buffer))).toBe(0);
});
