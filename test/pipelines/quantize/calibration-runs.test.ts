import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import type { StatisticsRequest } from '../../../src/ir/statistics.ts';
import { startRun } from '../../../src/options/run.ts';
import { NO_SAMPLES } from '../../../src/pipelines/evaluate/sample-sets.ts';
import {
  type CalibrationOptions,
  CalibrationRuns,
  type Collect,
} from '../../../src/pipelines/quantize/calibration-runs.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { graphOf } from '../../core.ts';
import { nodeOf } from './scripted.ts';

/** Word i is [scale * i, -scale * i]; `next` is the word behind it. */
function lookUp(scale = 1): Graph {
  const table = Array.from({ length: 8 }, (_, i) => `${scale * i}, ${-scale * i}`);
  return graphOf(`graph g (input_ids: i64[1, sequence])
  word = gather(table f32[8, 2] {${table}}, input_ids)
  next = shift(word) {offset: 1}
  double = add(word, word)
  wide = concat(double, word)
return a: next, b: wide`);
}

const rowOf = (...inputIds: number[]): TokenRow => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) });

function runsOn(
  calibration: readonly TokenRow[],
  more: Partial<CalibrationOptions> & {
    readonly validation?: readonly TokenRow[];
    readonly proof?: readonly TokenRow[];
  } = {},
) {
  const { validation = [], proof = [], ...options } = more;
  const samples = { ...NO_SAMPLES, calibration, validation, proof };
  return new CalibrationRuns(samples, 7, { shape: {}, outline: false, run: startRun({}), ...options });
}

type Wanted = string | (Omit<StatisticsRequest, 'node'> & { readonly name: string });

function ask(collect: Collect | undefined, graph: Graph, ...wanted: Wanted[]) {
  if (collect === undefined) throw new Error('nothing can be asked');
  const requests = wanted.map((each) => {
    const { name, ...what } = typeof each === 'string' ? { name: each } : each;
    return { ...what, node: nodeOf(graph, name) };
  });
  return collect(graph, requests);
}

describe('what passes ask', () => {
  test('is nothing without samples', () => {
    const runs = runsOn([]);
    expect(runs.collector()).toBeUndefined();
    expect(runs.replay()).toBeUndefined();
  });

  test.each([
    ['2048 tokens at least', 3, 1000, 3 * 683],
    ['32 samples at least', 100, 40, 3200],
    ['all where there are fewer', 3, 10, 30],
  ])('is told by the first samples: %s', async (_, length, count, tokens) => {
    const row = rowOf(...Array<number>(length).fill(1));
    const found = await ask(runsOn(Array(count).fill(row)).collector(), lookUp(), 'word');
    expect(found.get('word')?.rows).toBe(tokens);
  });
});

test('ranges are those of all samples', async () => {
  const rows = [...Array<TokenRow>(40).fill(rowOf(...Array<number>(60).fill(1))), rowOf(6)];
  const runs = runsOn(rows);
  const graph = lookUp();
  expect((await ask(runs.collector(), graph, 'word')).get('word')?.max).toBe(1);
  expect((await ask((...given) => runs.collect(...given), graph, 'word')).get('word')?.max).toBe(6);
});

test('a sequence of fixed length sees the padding behind it', async () => {
  const seen = async (sequenceLength: number | 'dynamic' | undefined) => {
    const runs = runsOn([rowOf(1, 2, 3)], { shape: { sequenceLength } });
    return (await ask(runs.collector(), lookUp(), 'next')).get('next')?.max;
  };
  // Padding is word 7.
  expect(await seen(8)).toBe(7);
  expect(await seen(3)).toBe(3);
  expect(await seen('dynamic')).toBe(3);
  expect(await seen(undefined)).toBe(3);
});

describe('samples apart', () => {
  test('are those that no validation runs on, and are not remembered', async () => {
    const rows = [rowOf(1), rowOf(2), rowOf(3)];
    const runs = runsOn(rows, { validation: rows.slice(2) });
    const { collect, count } = runs.apart();
    expect(count).toBe(2);
    expect((await ask(collect, lookUp(), 'word')).get('word')).toMatchObject({ rows: 2, max: 2 });
    // Nothing was remembered, so that the twin is run.
    expect((await ask(runs.replay(), lookUp(10), 'word')).get('word')?.max).toBe(30);
  });
});

test('unseen samples are the first 16 of the proof that did not calibrate, and are not remembered', async () => {
  const rows = [rowOf(1), rowOf(2), rowOf(3)];
  const runs = runsOn(rows.slice(0, 1), { proof: [...rows, ...Array.from({ length: 20 }, () => rowOf(4))] });
  const { collect, count } = runs.unseen();
  expect(count).toBe(16);
  expect((await ask(collect, lookUp(), 'word')).get('word')).toMatchObject({ rows: 16, min: -4, max: 4 });
  expect((await ask(runs.replay(), lookUp(10), 'word')).get('word')?.max).toBe(10);
  expect(runsOn(rows, { proof: rows }).unseen().count).toBe(0);
});

describe('a twin', () => {
  /** The first graph is asked twice for a word, with other numbers each time. */
  async function asked() {
    const runs = runsOn([rowOf(1, 2, 3)]);
    const collect = runs.collector();
    await ask(collect, lookUp(1), 'word', 'next');
    await ask(collect, lookUp(2), { name: 'word', channels: true }, 'double');
    return runs;
  }

  test('gets the answers that the first graph got, node by node, in whatever order it asks', async () => {
    const replay = (await asked()).replay();
    const twin = lookUp(100);
    const largest = async (...names: string[]) => {
      const found = await ask(replay, twin, ...names);
      return names.map((name) => found.get(name)?.max);
    };
    expect(await largest('double')).toEqual([12]);
    expect(await largest('word')).toEqual([3]);
    expect(await largest('next', 'word')).toEqual([3, 6]);
  });

  test('is run where it asks for more than was asked, and all samples answer', async () => {
    const replay = (await asked()).replay();
    const twin = lookUp(100);
    // No channels were asked for the first time, nor a histogram or products the second.
    expect((await ask(replay, twin, { name: 'word', channels: true })).get('word')?.channels?.max).toEqual(
      Float64Array.of(300, -100),
    );
    expect((await ask(replay, twin, { name: 'word', histogram: true })).get('word')?.max).toBe(300);
    expect((await ask(replay, twin, 'word', 'wide')).get('word')?.max).toBe(300);
    expect((await ask(replay, twin, { name: 'next', gram: true })).get('next')?.gram?.rows).toBe(3);
  });

  test('gets what it asks for again from the start, each time that it is built', async () => {
    const runs = await asked();
    for (const replay of [runs.replay(), runs.replay()]) {
      expect((await ask(replay, lookUp(100), 'word')).get('word')?.max).toBe(3);
    }
  });

  test('mixes what is known with what is not', async () => {
    const found = await ask((await asked()).replay(), lookUp(100), 'next', 'wide');
    expect([found.get('next')?.max, found.get('wide')?.max]).toEqual([3, 600]);
  });
});

describe('ranges of channels', () => {
  test('are those of the first look and of the last', async () => {
    const runs = runsOn([rowOf(0, 1), rowOf(3)], { outline: true });
    const collect = runs.collector();
    const channels = { name: 'wide', channels: true };
    await ask(collect, lookUp(1), channels, 'next');
    await ask(collect, lookUp(5), 'wide');
    await ask((...given) => runs.collect(...given), lookUp(2), 'wide', 'next');
    // Widths of 6, 6, 3 and 3, then twice that.
    expect(runs.channelRanges()).toEqual([
      { name: 'wide', before: { median: 6, largest: 6 }, after: { median: 12, largest: 12 } },
    ]);
  });

  test('are not asked for again where no picture is wanted', async () => {
    const runs = runsOn([rowOf(0, 1)]);
    const collect = runs.collector();
    await ask(collect, lookUp(), { name: 'word', channels: true });
    expect((await ask(collect, lookUp(), 'word')).get('word')?.channels).toBeUndefined();
    expect(runs.channelRanges()).toEqual([]);
  });
});
