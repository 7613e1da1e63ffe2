import { describe, expect, test } from 'vitest';
import type { Shape } from '../../../src/ir/shape.ts';
import { readIntegers, type Tensor } from '../../../src/ir/tensor.ts';
import { commonShape, type Running, runRow } from '../../../src/pipelines/evaluate/running.ts';

interface Recorded extends Running {
  readonly seen: ReadonlyMap<string, Tensor>[];
}

/** A model that takes these inputs of one shape and answers nothing. */
function taking(shape: Shape, names: readonly string[] = ['input_ids'], path = 'm'): Recorded {
  const seen: ReadonlyMap<string, Tensor>[] = [];
  return {
    path,
    seen,
    session: {
      inputs: names.map((name) => ({ name, dtype: 'i64', shape })),
      outputs: [],
      run: async (feeds) => {
        seen.push(feeds);
        return new Map();
      },
      close: async () => {},
    },
  };
}

const rowsOf = (...rows: readonly (readonly number[])[]) =>
  rows.map((inputIds) => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) }));

describe('what both models take', () => {
  test.each<[string, Shape, Shape, number | undefined, readonly (number | undefined)[]]>([
    ['is open where both are', ['batch', 'sequence'], ['n', 's'], undefined, [undefined, undefined]],
    ['is as long as the user says where both are open', [1, 'sequence'], [1, 'sequence'], 24, [1, 24]],
    ['is as long as the one that is fixed', [1, 'sequence'], [1, 16], undefined, [1, 16]],
    ['is as long as the other that is fixed', [1, 16], ['batch', 'sequence'], 16, [1, 16]],
    ['has the choices that one of them fixes', [1, 'choices', 'sequence'], [1, 4, 8], undefined, [1, 4, 8]],
    ['may differ in the batch', [1, 8], [2, 8], undefined, [1, 8]],
    ['takes a size that a runtime does not know for open', [-1, -1], [1, 8], undefined, [1, 8]],
  ])('%s', (_, a, b, length, expected) => {
    expect(
      commonShape(
        [a, b].map((shape) => ({ path: 'm', shape })),
        length,
      ),
    ).toEqual(expected);
  });

  test('of one model alone is its own', () => {
    expect(commonShape([{ path: 'm', shape: [1, 16] }], undefined)).toEqual([1, 16]);
  });

  test.each<[string, Shape, Shape]>([
    ['two lengths', [1, 16], [1, 32]],
    ['two numbers of choices', [1, 2, 16], [1, 4, 16]],
    ['axes that one does not have', [1, 16], [1, 4, 16]],
    ['no sequence', [16], [16]],
  ])('is nothing with %s', (_, a, b) => {
    expect(() =>
      commonShape(
        [
          { path: 'a', shape: a },
          { path: 'b', shape: b },
        ],
        undefined,
      ),
    ).toThrow(
      expect.objectContaining({
        code: 'MISMATCH',
        message: `a takes [${a.join(', ')}], b takes [${b.join(', ')}]: no input fits both`,
      }),
    );
  });

  test('is not another length than a model is fixed to', () => {
    expect(() => commonShape([{ path: 'm', shape: [1, 16] }], 8)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: '--sequence-length 8: the model is fixed to 16' }),
    );
  });
});

describe('a row is run', () => {
  const ids = (running: Recorded) => readIntegers(running.seen[0]?.get('input_ids') as Tensor);
  const rows = rowsOf([1, 2], [3, 4, 5], [6]);

  test('as long as it is, or padded to the length that both take', async () => {
    const open = taking(['batch', 'sequence']);
    await runRow(open, rows, 1, [undefined, undefined], 0);
    expect(ids(open)).toEqual([3, 4, 5]);
    const fixed = taking([1, 4]);
    await runRow(fixed, rows, 1, [1, 4], 9);
    expect(ids(fixed)).toEqual([3, 4, 5, 9]);
  });

  test('in every row of a batch', async () => {
    const batch = taking([2, 'sequence']);
    await runRow(batch, rows, 0, [2, undefined], 0);
    expect(ids(batch)).toEqual([1, 2, 1, 2]);
  });

  test('beside the rows that follow it where the model takes choices, from the first one on behind the last', async () => {
    const choices = taking([1, 'choices', 'sequence']);
    await runRow(choices, rows, 2, [1, undefined, undefined], 0);
    expect(ids(choices)).toEqual([6, 0, 1, 2]);
    expect(choices.seen[0]?.get('input_ids')?.shape).toEqual([1, 2, 2]);
    const three = taking([1, 3, 4]);
    await runRow(three, rows, 1, [1, 3, 4], 0);
    expect(ids(three)).toEqual([3, 4, 5, 0, 6, 0, 0, 0, 1, 2, 0, 0]);
  });

  test("under another tool's names", async () => {
    const names = ['input_ids:0', 'input_mask', 'segment_ids'];
    const google = taking([1, 3], names);
    await runRow(google, rows, 0, [1, 3], 0);
    expect(names.map((name) => readIntegers(google.seen[0]?.get(name) as Tensor))).toEqual([
      [1, 2, 0],
      [1, 1, 0],
      [0, 0, 0],
    ]);
  });

  test('but not by a model whose inputs are something else', async () => {
    await expect(runRow(taking([1, 2], ['ids', 'input_ids']), rows, 0, [1, 2], 0)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'm: inputs ids, input_ids: are not token ids, mask and token types',
    });
  });
});
