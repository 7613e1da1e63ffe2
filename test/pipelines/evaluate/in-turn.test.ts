import { expect, test } from 'vitest';
import { type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { inTurn, type Loader } from '../../../src/pipelines/evaluate/in-turn.ts';

/** A loader that writes down what is done with its model, whose output has so many numbers. */
function recorded(name: string, log: string[], numbers = 1): Loader {
  const outputs = new Map<string, Tensor>([['y', tensorOf('f32', [numbers], new Float32Array(numbers))]]);
  return {
    async load() {
      log.push(`load ${name}`);
      const close = async () => {
        log.push(`close ${name}`);
      };
      return { path: name, session: { inputs: [], outputs: [], run: async () => outputs, close } };
    },
    remove() {},
  };
}

async function logOf(rows: number, numbers: number, fails?: number): Promise<readonly string[]> {
  const log: string[] = [];
  await inTurn(recorded('a', log, numbers), recorded('b', log), {
    rows,
    run(model, place) {
      if (place === fails) throw new Error('row');
      log.push(`${model.path}${place}`);
      return model.session.run(new Map());
    },
    use: (place, first, second) => {
      log.push(`use ${place} ${first.size + second.size}`);
    },
  }).catch((error: unknown) => log.push(String(error)));
  return log;
}

test('one model is in memory at a time', async () => {
  expect(await logOf(2, 1)).toEqual([
    'load a',
    'a0',
    'a1',
    'close a',
    'load b',
    'b0',
    'use 0 2',
    'b1',
    'use 1 2',
    'close b',
  ]);
});

test('outputs that are large are kept of some rows only', async () => {
  const log = await logOf(3, 2 ** 22);
  expect(log.filter((entry) => !entry.startsWith('use'))).toEqual([
    'load a',
    'a0',
    'a1',
    'close a',
    'load b',
    'b0',
    'b1',
    'close b',
    'load a',
    'a2',
    'close a',
    'load b',
    'b2',
    'close b',
  ]);
});

test('a model is closed where a row fails', async () => {
  expect(await logOf(2, 1, 1)).toEqual(['load a', 'a0', 'close a', 'Error: row']);
});
