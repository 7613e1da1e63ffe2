import { expect, test } from 'vitest';
import type { Input, Node } from '../../../src/ir/graph.ts';
import { readF32, readIntegers, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { GradientRuns } from '../../../src/pipelines/training/gradient-runs.ts';
import { sequentialRuns } from '../../../src/pipelines/training/part-runs.ts';
import type { StepGraph } from '../../../src/pipelines/training/step-graph.ts';
import type { RuntimeSession } from '../../../src/runtimes/runtime.ts';
import { graphOf } from '../../core.ts';

const ofLength = (length: number, id: number) => ({
  inputIds: Array<number>(length).fill(id),
  tokenTypeIds: Array<number>(length).fill(0),
});
const lesson = (length: number, id: number) => {
  const row = ofLength(length, id);
  return { teacher: row, student: row, label: undefined };
};

/** A run whose gradient is the mean of its first ids; a token has so many values that two of length 3 fit in memory. */
function gradientRuns(fixed?: number, lanes = 1) {
  const weight = Float32Array.of(5, 6);
  const runs: { shape: readonly number[]; rows: number; length: number; weight: readonly number[] }[] = [];
  const session: RuntimeSession = {
    inputs: [
      { name: 'input_ids', dtype: 'i64', shape: ['batch', fixed ?? 'sequence'] },
      { name: 'w.now', dtype: 'f32', shape: [2] },
      { name: 'rows', dtype: 'f32', shape: [] },
      { name: 'length', dtype: 'f32', shape: [] },
    ],
    outputs: [],
    async run(feeds) {
      const ids = feeds.get('input_ids') as Tensor;
      const [rows = 0, length = 0] = ids.shape;
      const scalar = (name: string) => readF32(feeds.get(name) as Tensor)[0] as number;
      const present = [...readF32(feeds.get('w.now') as Tensor)];
      runs.push({ shape: ids.shape, rows: scalar('rows'), length: scalar('length'), weight: present });
      const firsts = readIntegers(ids).filter((_, i) => i % length === 0);
      const mean = firsts.reduce((sum, id) => sum + id, 0) / rows;
      return new Map([['gradient', tensorOf('f32', [2], Float32Array.of(mean, -mean))]]);
    },
    close: async () => {},
  };
  const arrays = new Map([['w', { name: 'w', shape: [2], values: weight }]]);
  const step: StepGraph = {
    graph: graphOf('graph g (x: f32[1])\nreturn y: x'),
    fed: [],
    parameters: [{ name: 'w', input: { name: 'w.now' } as Input, gradient: { name: 'gradient' } as Node }],
    reads: [],
    tables: [],
    fromTeacher: new Map(),
    labels: undefined,
    sizes: new Map([
      ['batch', { name: 'rows' } as Input],
      ['sequence', { name: 'length' } as Input],
    ]),
    valuesPerToken: 350e6 / 6,
    batch: 'batch',
  };
  const parameters = [{ input: 'w.now', shape: [2], values: weight, gradient: 'gradient' }];
  const parts = { ...sequentialRuns(session, parameters, { values: 350e6 }), lanes };
  return { runs, gradients: new GradientRuns(parts, step, arrays, { pad: 0 }) };
}

test('gradients are the mean over all texts, in as many runs as memory asks for', async () => {
  const { runs, gradients } = gradientRuns();
  const found = (await gradients.gradients([lesson(3, 1), lesson(3, 2), lesson(3, 9)])).get('w')?.values;
  expect(runs.map(({ shape }) => shape)).toEqual([
    [2, 3],
    [1, 3],
  ]);
  expect([...(found ?? [])].map((value) => Math.round(1e5 * value))).toEqual([4e5, -4e5]);
  expect(runs[0]).toMatchObject({ rows: 2, length: 3, weight: [5, 6] });
});

test('gradients begin anew at each call, with one text at least', async () => {
  const { runs, gradients } = gradientRuns();
  await gradients.gradients([lesson(2, 7)]);
  const found = (await gradients.gradients([lesson(50, 3)])).get('w')?.values;
  expect([...(found ?? [])]).toEqual([3, -3]);
  expect(runs.map(({ shape }) => shape)).toEqual([
    [1, 2],
    [1, 50],
  ]);
});

test('texts of a fixed length are padded to it, and take as much memory', async () => {
  const { runs, gradients } = gradientRuns(6);
  await gradients.gradients([lesson(1, 1), lesson(2, 2)]);
  expect(runs.map(({ shape }) => shape)).toEqual([
    [1, 6],
    [1, 6],
  ]);
});

test('a batch is cut into as many parts as run at a time, or a multiple of that', async () => {
  const { runs, gradients } = gradientRuns(undefined, 2);
  await gradients.gradients([lesson(1, 1), lesson(1, 2), lesson(1, 3), lesson(1, 4)]);
  await gradients.gradients([lesson(3, 1), lesson(3, 2), lesson(3, 3), lesson(3, 4), lesson(3, 5), lesson(3, 6)]);
  expect(runs.map(({ rows }) => rows)).toEqual([2, 2, 2, 1, 2, 1]);
});
