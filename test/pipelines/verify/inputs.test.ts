import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NamedBytes } from '../../../src/formats/tokenizer-files.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import type { OpenedModel } from '../../../src/opened/opened-model.ts';
import { type InputOptions, readInputs } from '../../../src/pipelines/verify/inputs.ts';
import type { Side } from '../../../src/pipelines/verify/sides.ts';
import { graphOf } from '../../core.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const VOCABULARY: NamedBytes = {
  what: 'vocab.txt',
  bytes: new TextEncoder().encode('[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n'),
};

interface Wanted {
  readonly rows?: number;
  readonly types?: number;
  readonly positions?: number;
  readonly classes?: number;
  readonly vocabulary?: NamedBytes | undefined;
  readonly labels?: readonly string[];
}

function sideOf({ rows = 8, types = 2, positions = 32, classes = 3, labels, ...more }: Wanted = {}): Side {
  const graph: Graph = graphOf(`graph g (input_ids: i64[1, sequence], token_type_ids: i64[1, sequence])
  words = gather(table f32[${rows}, 2] #1, input_ids)
  kinds = gather(others f32[${types}, 2] #2, token_type_ids)
  both = add(words, kinds)
  first = slice(both) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 2]}
  logits = linear(pooled, w f32[${classes}, 2] #3)
return logits: logits`);
  const model = {
    maxPositions: positions,
    tokenizer: { vocabulary: 'vocabulary' in more ? more.vocabulary : VOCABULARY },
    pad: 0,
    labels,
  } as OpenedModel;
  return { path: 'm', model, graph, vocabRows: rows, tokenTypes: types };
}

const OPTIONS: InputOptions = {
  data: undefined,
  samples: undefined,
  seed: undefined,
  vocab: undefined,
  length: undefined,
  task: 'sequence-classification',
};

function textFile(...lines: readonly string[]): string {
  const path = join(folder, 'texts.tsv');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

describe('made sequences', () => {
  test('fit the smallest tables of both models, and their positions', () => {
    const sides = [sideOf({ rows: 40, types: 2, positions: 9 }), sideOf({ rows: 7, types: 1, positions: 50 })];
    const { rows, pad, data, seed, labels } = readInputs(sides, OPTIONS);
    expect({ count: rows.length, pad, data, seed, labels }).toEqual({
      count: 64,
      pad: 0,
      data: null,
      seed: 1,
      labels: undefined,
    });
    expect(Math.max(...rows.flatMap(({ inputIds }) => inputIds))).toBe(6);
    expect(Math.max(...rows.flatMap(({ tokenTypeIds }) => tokenTypeIds))).toBe(0);
    expect(Math.max(...rows.map(({ inputIds }) => inputIds.length))).toBe(9);
  });

  test('are no longer than 64, nor than what the user asks for', () => {
    const longest = (length?: number) => {
      const { rows } = readInputs([sideOf({ positions: 512 })], { ...OPTIONS, length });
      return Math.max(...rows.map(({ inputIds }) => inputIds.length));
    };
    expect(longest()).toBe(64);
    expect(longest(100)).toBe(100);
  });

  test('are the same by the same seed, and as many as are asked for', () => {
    const made = (seed: number) => readInputs([sideOf()], { ...OPTIONS, seed, samples: 5 }).rows;
    expect(made(3)).toEqual(made(3));
    expect(made(3)).toHaveLength(5);
    expect(made(3)).not.toEqual(made(4));
  });

  test('are refused at more tokens than one of the models has positions', () => {
    const sides = [sideOf({ positions: 64 }), sideOf({ positions: 32 })];
    expect(() => readInputs(sides, { ...OPTIONS, length: 33 })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: '--sequence-length 33: a model has 32 positions' }),
    );
    expect(readInputs(sides, { ...OPTIONS, length: 32 }).rows).toHaveLength(64);
  });
});

describe('texts', () => {
  const read = (lines: readonly string[], options: Partial<InputOptions> = {}, sides = [sideOf()]) =>
    readInputs(sides, { ...OPTIONS, data: textFile(...lines), ...options });

  test('are read with the words of whichever model has them', () => {
    const none = sideOf({ vocabulary: undefined });
    const { rows, pad, mask, seed } = read(['a b', 'c'], {}, [none, sideOf()]);
    expect(rows.map(({ inputIds }) => inputIds)).toEqual([
      [2, 5, 6, 3],
      [2, 7, 3],
    ]);
    expect({ pad, mask, seed }).toEqual({ pad: 0, mask: 4, seed: null });
  });

  test('are as many as are asked for, cut to the length', () => {
    const { rows, warnings } = read(['a b c a b c', 'a', 'b'], { samples: 2, length: 4 });
    expect(rows.map(({ inputIds }) => inputIds.length)).toEqual([4, 3]);
    expect(warnings).toContainEqual(expect.stringContaining('1 of 2 samples are cut to 4 tokens'));
  });

  const HEAD = 'sentence\tlabel';

  test('have classes by number, or by the name that a model gives them', () => {
    expect(read([HEAD, 'a\t2', 'b\t0']).labels).toEqual({ kind: 'classes', values: [2, 0], classes: 3 });
    const named = [sideOf(), sideOf({ labels: ['no', 'yes', 'maybe'] })];
    expect(read([HEAD, 'a\tyes', 'b\tno'], {}, named).labels).toMatchObject({ values: [1, 0] });
  });

  test('have scores where the model gives one number', () => {
    const regression = [sideOf({ classes: 1 })];
    expect(read([HEAD, 'a\t2.5', 'b\t-1'], {}, regression).labels).toEqual({ kind: 'numbers', values: [2.5, -1] });
    expect(() => read([HEAD, 'a\t2.5', 'b\tgood'], {}, regression)).toThrow(
      expect.objectContaining({
        code: 'MISMATCH',
        message: expect.stringContaining('sample 2: label good: is no number'),
      }),
    );
  });

  test.each<[string, readonly string[], InputOptions['task']]>([
    ['the task has no classes', [HEAD, 'a\t1'], 'token-classification'],
    ['nobody says what the task is', [HEAD, 'a\t1'], undefined],
    ['the file has none', ['a', 'b'], 'sequence-classification'],
  ])('have no labels where %s', (_, lines, task) => {
    expect(read(lines, { task }).labels).toBeUndefined();
  });
});

test('one label for each text is not read, and said so, where any number of them applies', () => {
  const side = sideOf();
  const model = { ...side.model, logitsKind: 'multi-label' } as OpenedModel;
  const data = textFile('sentence\tlabel', 'a\t1', 'b\t0');
  const { labels, unread, warnings } = readInputs([{ ...side, model }], { ...OPTIONS, data });
  expect(labels).toBeUndefined();
  expect(warnings).toContain(unread);
  expect(warnings).toContainEqual(expect.stringContaining('its labels are not read'));
  expect(readInputs([side], { ...OPTIONS, data }).labels?.values).toEqual([1, 0]);
});
