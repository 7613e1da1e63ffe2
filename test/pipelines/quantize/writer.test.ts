import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DecideOptions } from '../../../src/pipelines/quantize/decision.ts';
import { temporaryFolder } from '../written.ts';
import { chain, decideOptions, type Role, useScriptedErrors, writing } from './scripted.ts';

const folder = temporaryFolder();
const LINEARS = 5;

interface Wanted {
  readonly maxDrop?: number;
  readonly maxSize?: number;
  readonly scan?: boolean;
}

/** Quantizes a chain of five linears. */
async function write({ maxDrop, maxSize, scan }: Wanted, more: Partial<DecideOptions> = {}) {
  const path = join(folder, 'model.onnx');
  onTestFinished(() => rmSync(path, { force: true }));
  const { writeDecision } = writing(path, { build: () => chain(LINEARS), maxDrop, maxSize, scan }, more);
  return writeDecision();
}

/** Which linears the file on the disk says that it keeps. */
function keptOnDisk(): string[] {
  const text = readFileSync(join(folder, 'model.onnx'), 'latin1');
  return /"kept":\[([^\]]*)\]/.exec(text)?.[1]?.match(/\bl\d+/g) ?? [];
}

/** How much each of l1 … l5 alone does to the answers: l5 most, l1 least. */
const noiseOf = (on: readonly number[]) => 0.01 * on.reduce((sum, group) => sum + group, 0);

/**
 * Of 40 rows a written file answers so many otherwise as `wrong` says of how many linears it keeps; of the ten trial rows, a
 * switched file as `wrongTried` does.
 */
function useDrops(wrong: readonly number[], wrongTried: readonly number[] = [0, 0, 0, 0, 0, 0]) {
  const tried: number[] = [];
  const fake = useScriptedErrors(({ kind, on, kept }: Role, id) => {
    if (kind === 'switched') {
      const isTrialOfMany = on.includes(0);
      return isTrialOfMany && id < (wrongTried[LINEARS - (on.length - 1)] as number) ? 2 : noiseOf(on);
    }
    if (tried.at(-1) !== kept.length) tried.push(kept.length);
    return id - 10 < (wrong[kept.length] as number) ? 2 : 0.001;
  });
  return { tried, fake };
}

describe('a gate', () => {
  test('that holds at once is not searched for', async () => {
    const { tried, fake } = useDrops([2, 0, 0, 0, 0, 0]);
    const { file, decision } = await write({ maxDrop: 5 });
    expect(tried).toEqual([0]);
    expect(file).toMatchObject({ failures: [], pareto: undefined, proof: { drop: expect.closeTo(5, 9), samples: 40 } });
    expect(keptOnDisk()).toEqual([]);
    expect([...decision.settings.values()].filter(({ scheme }) => scheme === 'int8')).toHaveLength(LINEARS);
    expect(fake.open()).toBe(0);
  });

  test('that does not is met with as few linears as it takes, those that bring most first', async () => {
    const { tried } = useDrops([8, 4, 2, 0, 0, 0]);
    const { file, decision } = await write({ maxDrop: 5 });
    expect(tried).toEqual([0, 1, 2]);
    expect(keptOnDisk()).toEqual(['l4', 'l5']);
    expect(file.failures).toEqual([]);
    expect(file.proof?.drop).toBeCloseTo(5, 9);
    expect(file.pareto?.map(({ kept, chosen }) => [kept, chosen])).toEqual([
      [0, false],
      [1, false],
      [2, true],
      [3, false],
      [5, false],
    ]);
    const float = [...decision.settings].filter(([, { scheme }]) => scheme === 'float').map(([{ name }]) => name);
    expect(float).toEqual(['l4', 'l5', 'head']);
    expect(file.linears).toEqual({ float: 3, int8: 3 });
  });

  test('is tried from the first choice that does well on the trial rows', async () => {
    const { tried } = useDrops([8, 4, 4, 1, 0, 0], [3, 2, 1, 0, 0, 0]);
    await write({ maxDrop: 5 });
    expect(tried).toEqual([0, 3]);
    expect(keptOnDisk()).toEqual(['l3', 'l4', 'l5']);
  });

  test('that no choice does well enough for is tried with everything kept', async () => {
    const { tried } = useDrops([8, 8, 8, 8, 8, 3], [9, 9, 9, 9, 9, 9]);
    const { file } = await write({ maxDrop: 5 });
    expect(tried).toEqual([0, 5]);
    expect(file.failures).toEqual(['--max-drop 5: agreement fell by 7.50 points']);
    expect(keptOnDisk()).toHaveLength(5);
  });

  test('that nothing meets leaves the file that lost least, whenever that was tried', async () => {
    const { tried } = useDrops([9, 5, 4, 6, 8, 7]);
    const { file, decision } = await write({ maxDrop: 1 });
    expect(tried).toEqual([0, 1, 2, 3, 5, 2]);
    expect(keptOnDisk()).toEqual(['l4', 'l5']);
    expect(file.failures).toEqual(['--max-drop 1: agreement fell by 10.00 points']);
    expect(file.pareto?.find(({ chosen }) => chosen)?.kept).toBe(2);
    expect(decision.settings.size).toBe(7);
    expect(readdirSync(folder)).toEqual(['model.onnx']);
  });

  test('that more precision makes worse leaves the first file', async () => {
    const { tried } = useDrops([4, 5, 5, 5, 5, 5]);
    const { file, decision } = await write({ maxDrop: 1 });
    expect(tried).toEqual([0, 1, 2, 3, 5, 0]);
    expect(keptOnDisk()).toEqual([]);
    expect(file.proof?.drop).toBeCloseTo(10, 9);
    expect([...decision.settings.values()].filter(({ scheme }) => scheme === 'int8')).toHaveLength(LINEARS);
  });

  test('may keep linears whose weights stay integers, and are fitted to what they read', async () => {
    useDrops([8, 4, 2, 0, 0, 0]);
    const { file, decision } = await write({ maxDrop: 5 }, { fallback: 'w8' });
    expect(file.linears).toEqual({ float: 1, int8: 3, w8: 2 });
    expect(file.pareto?.map(({ addedBytes }) => addedBytes)).toEqual([0, 0, 0, 0, 0]);
    const kept = [...decision.settings].filter(([, { rounding }]) => rounding === 'gptq').map(([{ name }]) => name);
    expect(kept).toEqual(['l4', 'l5']);
  });

  test('is searched for beside one float file', async () => {
    const { fake } = useDrops([8, 4, 2, 0, 0, 0]);
    await write({ maxDrop: 5 });
    const proven = fake.loaded.filter(({ feeds }) => feeds.length === 40).map(({ path }) => path);
    expect(proven).toHaveLength(6);
    expect(new Set(proven).size).toBe(2);
  });

  test('is not searched for where no scan is wanted, or nothing computes on integers', async () => {
    const first = useDrops([9, 0, 0, 0, 0, 0]);
    expect((await write({ maxDrop: 1, scan: false })).file.failures).toHaveLength(1);
    expect(first.tried).toEqual([0]);
    const recipe = { path: 'r', rules: [{ match: /^l/, settings: { scheme: 'dynamic' } as const }] };
    const second = useDrops([9, 9, 9, 9, 9, 9]);
    const { file } = await write({ maxDrop: 1 }, { recipe });
    expect(file).toMatchObject({ pareto: undefined, linears: { dynamic: 5, float: 1 } });
    expect(second.tried).toEqual([5]);
  });
});

describe('a size', () => {
  test('keeps the search from choices that do not fit', async () => {
    useDrops([9, 9, 9, 0, 0, 0]);
    await write({});
    const { size } = statSync(join(folder, 'model.onnx'));
    // Each of l2 … l5 takes 768 bytes more as floats.
    const two = useDrops([9, 9, 8, 0, 0, 0]);
    const { file } = await write({ maxDrop: 5, maxSize: size + 2 * 768 });
    expect(two.tried).toEqual([0, 1, 2]);
    expect(keptOnDisk()).toEqual(['l4', 'l5']);
    expect(file.failures.map((failure) => failure.split(':')[0])).toContain('--max-drop 5');
    const one = useDrops([9, 9, 8, 0, 0, 0]);
    await write({ maxDrop: 5, maxSize: size + 2 * 768 - 1 });
    expect(one.tried).toEqual([0, 1, 0]);
  });

  test('that is passed makes the answer no', async () => {
    useDrops([0, 0, 0, 0, 0, 0]);
    const { file } = await write({ maxSize: 100 });
    const { size } = statSync(join(folder, 'model.onnx'));
    expect(file.failures).toEqual([`--max-size 100: the file has ${size} bytes, and was not compared`]);
    expect((await write({ maxSize: size })).file.failures).toEqual([]);
  });
});

describe('a written file', () => {
  test('is proven on the held-out rows, and not where there are none', async () => {
    const { fake } = useDrops([0, 0, 0, 0, 0, 0]);
    await write({});
    expect(fake.loaded.map(({ feeds }) => feeds.length)).toEqual([40, 40]);
    const none = useDrops([0, 0, 0, 0, 0, 0]);
    const { file } = await write({}, { samples: { ...decideOptions().samples, proof: [] } });
    expect(file.proof).toBeUndefined();
    expect(none.fake.loaded).toEqual([]);
  });

  test('has no temporary file of the proof left beside it or elsewhere', async () => {
    const { fake } = useDrops([9, 0, 0, 0, 0, 0]);
    await write({ maxDrop: 5 });
    const others = fake.loaded.map(({ path }) => path).filter((path) => !path.startsWith(folder));
    expect(others.length).toBeGreaterThan(2);
    for (const path of others) expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('says by which samples and how it was made', async () => {
    useDrops([0, 0, 0, 0, 0, 0]);
    const manifest = { source: 'texts.txt', sha256: 'abc', count: 32, seed: 3 };
    await write({}, { samples: { ...decideOptions().samples, manifest, overlap: 2, warnings: ['w'] } });
    const text = readFileSync(join(folder, 'model.onnx'), 'latin1');
    expect(text).toMatch(/mbert\.dtype[^a-z]*int8/);
    expect(text).toContain(
      '{"scheme":"int8","target":"cpu","calibration":{"source":"texts.txt","sha256":"abc","count":32,"seed":3},"overlap":2,"form":"integer-gemms","range":"minmax","kept":["head"]}',
    );
  });
});
