import { describe, expect, onTestFinished, test } from 'vitest';
import { openScorePairs } from '../../src/calibration/score-pairs.ts';
import type { Heads, Matrix, ScorePairs, Segment, TextMatrix } from '../../src/ir/text-runs.ts';
import { featuresOf } from '../../src/solve/features.ts';
import { fitScores, type ScoresProblem } from '../../src/solve/fit-scores.ts';
import { at, built, LENGTH, noise, runs as products, ROWS } from './matrices.ts';

/** Two heads of two channels. */
const HEADS = 2;
const SCALE = 0.7;
const segments: Segment[] = Array.from({ length: ROWS / LENGTH }, (_, i) => ({ start: i * LENGTH, length: LENGTH }));
const ones = new Float32Array(ROWS).fill(1);
const weights = Float32Array.from(ones, (_, row) => (row % LENGTH === 0 ? 3 : row % LENGTH === 5 ? 0 : 1));

const runs = {
  ...products,
  scorePairs: (student: Heads, teacher: Heads, some: readonly Segment[]) => openScorePairs(student, teacher, some, 1),
};

async function pairsOf(student: Heads, teacher: Heads, some = segments): Promise<ScorePairs> {
  const pairs = await runs.scorePairs(student, teacher, some);
  onTestFinished(() => pairs.close());
  return pairs;
}

const headsOf = (q: Matrix, k: Matrix): Heads => ({ q, k, heads: HEADS, scale: SCALE });
const sum = (a: Matrix, b: Matrix, factor = 1) => built(a.columns, (row, c) => at(a, row, c) + factor * at(b, row, c));

describe('pairs', () => {
  const q = noise(4, 1);
  const k = noise(4, 2);
  const teacher = headsOf(q, k);

  test('the divergence of small errors is twice that of the two softmaxes', async () => {
    const wrong = headsOf(sum(q, noise(4, 3), 0.02), sum(k, noise(4, 4), 0.02));
    const expected = segments.reduce((total, segment) => total + softmaxDivergence(teacher, wrong, segment), 0);
    const pairs = await pairsOf(wrong, teacher);
    expect((await pairs.divergence(none(), ones)) / 2 / expected).toBeCloseTo(1, 1);
  });

  test('a key that is off by the same everywhere costs nothing', async () => {
    const moved = headsOf(
      q,
      built(4, (row, c) => at(k, row, c) + c),
    );
    const pairs = await pairsOf(moved, teacher);
    expect(await pairs.divergence(none(), weights)).toBeLessThan(1e-6);
  });

  test('the slope is what the divergence does under small changes of the queries', async () => {
    const pairs = await pairsOf(headsOf(noise(4, 5), noise(4, 6)), teacher);
    const direction = noise(4, 7).values;
    const value = (factor: number) =>
      pairs.divergence(
        direction.map((change) => factor * change),
        weights,
      );
    const slope = await pairs.slope(undefined, weights);
    const along = slope.reduce((total, g, i) => total + g * (direction[i] as number), 0);
    expect(((await value(0.01)) - (await value(-0.01))) / 0.02 / 2 / along).toBeCloseTo(1, 2);
  });

  test('queries that all change alike bend the divergence by the mean curvature of their head', async () => {
    const pairs = await pairsOf(teacher, teacher);
    const change = built(4, (_, c) => [0.3, -0.2, 0.1, 0.4][c] as number);
    const bends = await pairs.curvatures(weights);
    const total = weights.reduce((all, weight) => all + weight, 0);
    let expected = 0;
    for (const [head, bend] of bends.entries()) {
      for (let i = 0; i < 4; i++) {
        expected +=
          total * (bend[i] as number) * at(change, 0, 2 * head + (i >> 1)) * at(change, 0, 2 * head + (i % 2));
      }
    }
    expect(await pairs.divergence(change.values, weights)).toBeCloseTo(expected, 3);
  });
});

describe('the linear of the queries', () => {
  const h = noise(3, 11);
  const wanted = built(4, (row, c) => at(h, row, c % 3) - 0.5 * at(h, row, (c + 1) % 3) + 0.1 * c);

  test('makes up for keys that have another scale', async () => {
    const k = noise(4, 12);
    const fit = await fitScores(
      await problem({
        h,
        student: headsOf(
          noiseless(4),
          built(4, (row, c) => 2 * at(k, row, c)),
        ),
        teacher: headsOf(wanted, k),
      }),
      runs,
    );
    expect(Array.from(fit?.change ?? [], (value) => Number(value.toFixed(2)) + 0)).toEqual([
      0.5, -0.25, 0, 0, 0.5, -0.25, -0.25, 0, 0.5, 0.5, -0.25, 0,
    ]);
    expect(Array.from(fit?.offset ?? [], (value) => Number(value.toFixed(2)) + 0)).toEqual([0, 0.05, 0.1, 0.15]);
  });

  test('does not chase what no key can see', async () => {
    const k = built(4, (row, c) => (c === 1 ? 0 : at(noise(1, 13 + c), row, 0)));
    const fit = await fitScores(
      await problem({ h, student: headsOf(noiseless(4), k), teacher: headsOf(wanted, k) }),
      runs,
    );
    expect(Math.max(...Array.from(fit?.change.subarray(3, 6) ?? [1], Math.abs))).toBeLessThan(1e-3);
    expect(fit?.change[0]).toBeCloseTo(1, 2);
  });

  test('is found in six steps, though keys differ from sequence to sequence and depend on one another', async () => {
    const base = noise(4, 12);
    const k = built(4, (row, c) => {
      const loud = Math.floor(row / LENGTH) % 4 === c ? 3 : 1;
      return loud * at(base, row, c) + (c % 2 === 1 ? 0.8 * at(base, row, c - 1) : 0);
    });
    const fit = await fitScores(
      await problem({ h, student: headsOf(noiseless(4), k), teacher: headsOf(wanted, k) }),
      runs,
    );
    const expected = [1, -0.5, 0, 0, 1, -0.5, -0.5, 0, 1, 1, -0.5, 0];
    const errors = expected.map((value, i) => Math.abs(value - (fit?.change[i] ?? 0)));
    expect(Math.max(...errors)).toBeLessThan(5e-5);
  });

  test('stays as it is where held-out sequences want the opposite', async () => {
    const k = noise(4, 12);
    const turned = built(4, (row, c) => (row < h.fitted ? 1 : -1) * at(wanted, row, c));
    const opposite = await problem({ h, student: headsOf(noiseless(4), k), teacher: headsOf(turned, k) });
    expect(await fitScores(opposite, runs)).toBeUndefined();
  });

  test('stays as it is where nothing is wrong, or only what no linear can mend', async () => {
    const k = noise(4, 17);
    const same = headsOf(wanted, k);
    expect(await fitScores(await problem({ h, student: same, teacher: same }), runs)).toBeUndefined();
    const other = await problem({
      h: noise(3, 18),
      student: same,
      teacher: headsOf(sum(wanted, noise(4, 19)), k),
      ridge: -9,
    });
    const fit = await fitScores(other, runs);
    expect(Math.max(0, ...Array.from(fit?.change ?? [], Math.abs))).toBeLessThan(0.2);
  });
});

describe('what is looked at', () => {
  /** The sequences that are looked at, of so many of one length in a text. */
  async function lookedAt(sequences: number, length: number): Promise<number[]> {
    const rows = sequences * length;
    const text = (columns: number): TextMatrix => ({
      values: new Float32Array(rows * columns).fill(1),
      rows,
      columns,
      sequence: Int32Array.from({ length: rows }, (_, row) => Math.floor(row / length)),
      fitted: length,
    });
    const heads = headsOf(text(4), text(4));
    let seen: readonly Segment[] = [];
    const features = await featuresOf(text(1), runs);
    const watching = {
      ...products,
      scorePairs: async (_: Heads, __: Heads, some: readonly Segment[]) => {
        seen = some;
        throw new Error('seen');
      },
    };
    await expect(fitScores({ features, student: heads, teacher: heads, ridge: -6 }, watching)).rejects.toThrow('seen');
    for (const { length: found } of seen) expect(found).toBe(length);
    return seen.map(({ start }) => start / length);
  }

  test('are all sequences, up to eight million pairs of tokens and heads', async () => {
    expect(await lookedAt(4, 1024)).toEqual([0, 1, 2, 3]);
    expect(await lookedAt(5, 1024)).toEqual([0, 2, 4]);
    expect(await lookedAt(9, 1024)).toEqual([0, 3, 6]);
  });

  test('has held-out tokens no part in, but to say how far to go', async () => {
    const h = noise(3, 11);
    const weighted = new Map<string, Float32Array[]>();
    const note = (what: string, given: Float32Array) => weighted.set(what, [...(weighted.get(what) ?? []), given]);
    const watching = {
      ...runs,
      scorePairs: async (...given: Parameters<typeof runs.scorePairs>): Promise<ScorePairs> => {
        const pairs = await runs.scorePairs(...given);
        return {
          curvatures: (each) => note('curvatures', each) && pairs.curvatures(each),
          slope: (change, each) => note('slope', each) && pairs.slope(change, each),
          divergence: (change, each) => note('divergence', each) && pairs.divergence(change, each),
          close: () => pairs.close(),
        };
      },
    };
    const k = noise(4, 12);
    await fitScores(await problem({ h, student: headsOf(noise(4, 1), k), teacher: headsOf(noise(4, 2), k) }), watching);
    const fitted = Float32Array.from({ length: ROWS }, (_, row) => (row < h.fitted ? 1 : 0));
    const held = fitted.map((value) => 1 - value);
    expect([...weighted.keys()].sort()).toEqual(['curvatures', 'divergence', 'slope']);
    for (const [what, all] of weighted)
      for (const each of all) expect(each).toEqual(what === 'divergence' ? held : fitted);
  });

  test('is closed again, also where something fails', async () => {
    const k = noise(4, 12);
    const heads = headsOf(noise(4, 1), k);
    let closed = 0;
    const watched = (isBroken: boolean) => ({
      ...runs,
      scorePairs: async (...given: Parameters<typeof runs.scorePairs>) => {
        const pairs = await runs.scorePairs(...given);
        const close = async () => {
          closed++;
          await pairs.close();
        };
        const curvatures = isBroken ? () => Promise.reject(new Error('broken')) : pairs.curvatures.bind(pairs);
        return { divergence: pairs.divergence.bind(pairs), slope: pairs.slope.bind(pairs), curvatures, close };
      },
    });
    const given = await problem({ h: noise(3, 11), student: heads, teacher: heads });
    await fitScores(given, watched(false));
    expect(closed).toBe(1);
    await expect(fitScores(given, watched(true))).rejects.toThrow('broken');
    expect(closed).toBe(2);
  });
});

async function problem(given: {
  readonly h: TextMatrix;
  readonly student: Heads;
  readonly teacher: Heads;
  readonly ridge?: number;
}): Promise<ScoresProblem> {
  const { h, student, teacher, ridge = -6 } = given;
  return { features: await featuresOf(h, runs), student, teacher, ridge };
}

function none(): Float32Array {
  return new Float32Array(ROWS * 4);
}

function noiseless(columns: number): Matrix {
  return built(columns, () => 0);
}

/** Σ p log(p / p') over queries and heads, as softmax is defined. */
function softmaxDivergence(teacher: Heads, student: Heads, { start, length }: Segment): number {
  let total = 0;
  for (let head = 0; head < HEADS; head++) {
    for (let t = start; t < start + length; t++) {
      const [p, other] = [teacher, student].map((heads) => probabilities(heads, head, t, start, length));
      p?.forEach((value, u) => {
        total += value * Math.log(value / (other?.[u] as number));
      });
    }
  }
  return total;
}

function probabilities({ q, k }: Heads, head: number, t: number, start: number, length: number): number[] {
  const powers = Array.from({ length }, (_, u) => {
    const products = [0, 1].map((i) => at(q, t, 2 * head + i) * at(k, start + u, 2 * head + i));
    return Math.exp(SCALE * ((products[0] as number) + (products[1] as number)));
  });
  const all = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / all);
}
