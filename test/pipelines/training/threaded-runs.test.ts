import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { modelOf, type StagedModel, stageOnnxModel } from '../../../src/calibration/graph-session.ts';
import { readF32, tensorOf } from '../../../src/ir/tensor.ts';
import { type Part, type PartRuns, sequentialRuns } from '../../../src/pipelines/training/part-runs.ts';
import { threadedRuns } from '../../../src/pipelines/training/threaded-runs.ts';
import { randomNumbers } from '../../../src/solve/random-numbers.ts';
import { graphOf } from '../../core.ts';

/** Weights in a run, a sum of them by texts, and the texts doubled, which is not summed. */
const GRAPH = graphOf(`graph step (x: f32[batch, 2], w: f32[2])
  weighted = mul(x, w)
  gradient = mean(weighted) {axis: 0, keepDims: false}
  doubled = add(x, x)
return a: gradient, b: doubled`);

const weights = Float32Array.of(1, 2);
const parameters = [{ input: 'w', shape: [2], values: weights, gradient: 'gradient' }];

let staged: StagedModel;
let threaded: PartRuns;

beforeAll(async () => {
  staged = await stageOnnxModel(
    modelOf(
      GRAPH,
      GRAPH.outputs.map(({ node }) => node),
    ),
  );
  threaded = await threadedRuns(parameters, { path: staged.path, name: 'step', lanes: 2, threads: 1, values: 100 });
});

afterAll(async () => {
  await threaded.close();
  staged.remove();
});

/** Parts of one text each. All numbers are whole, so that any order of a sum gives the same. */
const partsOf = (firsts: readonly number[]): Part[] =>
  firsts.map((first) => ({
    feeds: new Map([['x', tensorOf('f32', [1, 2], Float32Array.of(first, 8))]]),
    share: 0.5,
  }));

test('threads add up what one run after the other does, at the weights of the moment', async () => {
  const one = sequentialRuns(await staged.load({ threads: 1 }), parameters, { values: 100 });
  for (const [weight, firsts] of [
    [1, [2, 4, 6, 10, 20]],
    [3, [2]],
    [5, [4, 4, 4, 4]],
  ] as const) {
    weights[0] = weight;
    const parts = partsOf(firsts);
    const [expected, found] = [await one.run(parts), await threaded.run(parts)];
    const total = firsts.reduce((sum, first) => sum + 0.5 * weight * first, 0);
    expect([...(threaded.sums.get('gradient') ?? [])]).toEqual([total, 8 * firsts.length]);
    expect(threaded.sums.get('gradient')).toEqual(one.sums.get('gradient'));
    expect(found.map((outputs) => [...outputs.keys()])).toEqual(firsts.map(() => ['doubled']));
    const doubled = found.map((outputs) => [...outputs.values()].map((value) => [...readF32(value)]));
    expect(doubled).toEqual(firsts.map((first) => [[2 * first, 16]]));
    expect(doubled).toEqual(expected.map((outputs) => [...outputs.values()].map((value) => [...readF32(value)])));
  }
  await one.close();
});

test('runs in threads and one after the other add up in one order, to the last bit', async () => {
  const random = randomNumbers(3);
  weights.set([random(), random()]);
  const parts = partsOf(Array.from({ length: 7 }, () => 10 ** (6 * random() - 3)));
  const bitsOf = async (runs: PartRuns) => {
    await runs.run(parts);
    return Buffer.from((runs.sums.get('gradient') as Float32Array).slice().buffer).toString('hex');
  };
  const sequential = async (lanes: number) => {
    const runs = sequentialRuns(await staged.load({ threads: 1 }), parameters, { values: 100, lanes });
    const bits = [await bitsOf(runs), await bitsOf(runs)];
    await runs.close();
    return bits;
  };
  const bits = await bitsOf(threaded);
  expect(await sequential(2)).toEqual([bits, bits]);
  expect(await sequential(1)).not.toContain(bits);
  weights.set([1, 2]);
});

test('what a thread refuses is thrown as what it is, and the next batch runs', async () => {
  const wrong = { feeds: new Map([['x', tensorOf('f32', [1, 3], new Float32Array(3))]]), share: 1 };
  await expect(threaded.run([...partsOf([2]), wrong])).rejects.toMatchObject({
    code: 'MISMATCH',
    message: expect.stringContaining('step: input x: is f32[batch, 2], not f32[1, 3]'),
  });
  await threaded.run(partsOf([2, 4]));
  expect(threaded.sums.get('gradient')?.[1]).toBe(16);
});

test('a model that cannot be loaded is refused, and no thread is left behind', async () => {
  const options = { path: `${staged.path}.none`, name: 'step', lanes: 2, threads: 1, values: 100 };
  await expect(threadedRuns(parameters, options)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

describe('a thread that dies in the middle of a batch', () => {
  const options = () => ({ path: staged.path, name: 'step', lanes: 2, threads: 1, values: 100 });

  /** Ends the first thread that is told to run, as `end` does. */
  async function runWhile(end: (worker: Worker) => void) {
    const runs = await threadedRuns(parameters, options());
    const post = vi.spyOn(Worker.prototype, 'postMessage').mockImplementationOnce(function (this: Worker) {
      end(this);
    });
    try {
      return await runs.run(partsOf([2, 4, 6])).then(
        () => expect.unreachable(),
        (cause: unknown) => cause,
      );
    } finally {
      post.mockRestore();
      // Neither waits for an answer of the dead thread nor leaves the other one behind.
      await runs.close().catch(() => undefined);
    }
  }

  test('ends the batch with its exit code', async () => {
    const cause = await runWhile((worker) => void worker.terminate());
    expect(cause).toEqual(new Error('a thread of the training ended with code 1'));
  });

  test('ends it with what it threw', async () => {
    const thrown = new Error('thrown in the thread');
    const cause = await runWhile((worker) => {
      worker.emit('error', thrown);
      void worker.terminate();
    });
    expect(cause).toBe(thrown);
  });

  test('is no bug where memory ran out', async () => {
    const thrown = Object.assign(new Error('reached its heap limit'), { code: 'ERR_WORKER_OUT_OF_MEMORY' });
    const cause = await runWhile((worker) => {
      worker.emit('error', thrown);
      void worker.terminate();
    });
    expect(cause).toMatchObject({ code: 'USAGE', message: 'training: a thread ran out of memory', cause: thrown });
  });
});
