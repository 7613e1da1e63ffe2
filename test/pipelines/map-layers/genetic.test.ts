import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Tensor, takeF32, tensorOf } from '../../../src/ir/tensor.ts';
import { extract } from '../../../src/pipelines/extract/extract.ts';
import { mapLayers } from '../../../src/pipelines/map-layers/map-layers.ts';
import type { MapLayersOptions } from '../../../src/pipelines/map-layers/types.ts';
import { writeStudent } from '../../../src/pipelines/write/hugging-face-folder.ts';
import { random } from '../../core.ts';
import { openCheckpoint } from '../../models/corpus.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';
const path = (name: string) => join(folder, name);
const checkpoint = await openCheckpoint('bert-seqcls');
afterAll(() => checkpoint.close());

/** Students of a six-layer teacher, by the layers of the teacher that they are made of. */
const CHOSEN = [
  [1, 4],
  [0, 2, 5],
  [0, 1, 3, 5],
] as const;

beforeAll(async () => {
  const next = random(11);
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of checkpoint.tensors) {
    const [, before, after] = /^(.*encoder\.layer\.)0(\..*)$/.exec(name) ?? [];
    if (!/encoder\.layer\./.test(name)) tensors.set(name, tensor);
    for (let layer = 0; before !== undefined && layer < 6; layer++) {
      const values = takeF32(tensor).map((value) => value + 0.1 * (next() - 0.5));
      tensors.set(`${before}${layer}${after}`, tensorOf('f32', tensor.shape, values));
    }
  }
  const config = new Map(checkpoint.config).set('num_hidden_layers', 6);
  await writeStudent(path('teacher'), { ...checkpoint, tensors, config });
  for (const layers of CHOSEN) {
    writeFileSync(path('shape.json'), JSON.stringify({ num_hidden_layers: layers.length }));
    writeFileSync(path('layers.json'), JSON.stringify(Object.fromEntries(layers.map((layer, i) => [i, layer]))));
    const output = path(layers.join(''));
    const options = { method: 'random', layers: path('layers.json'), shape: path('shape.json') } as const;
    await extract({ source: path('teacher'), output, ...options });
  }
});

const search = (student: string, more: Partial<MapLayersOptions> = {}) =>
  mapLayers({ teacher: path('teacher'), student, calibrate: TEXTS, samples: 40, method: 'genetic', ...more });

describe.each(CHOSEN.map((chosen) => ({ chosen })))('a student made of layers $chosen', ({ chosen }) => {
  const student = path(chosen.join(''));

  test('has that map: its layers do what these do, whatever stood between them', async () => {
    const { mappings, search: found, fitness } = await search(student);
    const of = (name: string) => mappings.find(({ method }) => method === name);
    for (const method of ['best', 'genetic']) expect(of(method)).toMatchObject({ method, map: chosen });
    expect(of('best')?.functionError).toBeLessThan(1e-10);
    expect(of('greedy')?.functionError).toBeGreaterThanOrEqual(of('best')?.functionError as number);
    expect(fitness).toBe('function');
    expect(found).toMatchObject({ fitness, trials: [] });
  });

  test('by what layers give is mapped to the least error', async () => {
    const { mappings, search: found, functionErrors } = await search(student, { fitness: 'error' });
    const of = (name: string) => mappings.find(({ method }) => method === name);
    expect(of('genetic')?.map).toEqual(of('best')?.map);
    expect(of('genetic')?.error).toBeLessThanOrEqual(of('greedy')?.error as number);
    expect(functionErrors).toBeNull();
    expect(found).toMatchObject({ fitness: 'error', trials: [] });
  });
});

describe('maps that are tried by distillation', () => {
  const student = path(CHOSEN[0].join(''));
  const WANTED = [2, 5];
  /** Stands in for mbert: scores a map by the layers that it has in common with WANTED, and writes down that it ran. */
  const program = () => {
    const script = path('stand-in.mjs');
    writeFileSync(
      script,
      `import { appendFileSync, readFileSync } from 'node:fs';
const args = process.argv.slice(2);
const map = Object.values(JSON.parse(readFileSync(args[args.indexOf('--layer-map') + 1], 'utf8')));
if (args[args.indexOf('--checkpoint-every') + 1] !== '0') process.exit(70);
appendFileSync(${JSON.stringify(path('ran.txt'))}, map.join() + ' ' + args[args.indexOf('--steps') + 1] + ' ' + args[args.indexOf('--samples') + 1] + '\\n');
if (map.join() === process.env.REFUSED) { console.log('{"error":{"message":"has no gradient","hint":"none"}}'); process.exit(2); }
const equal = map.filter((layer) => ${JSON.stringify(WANTED)}.includes(layer)).length;
console.log(JSON.stringify({ watched: { curve: [{ sqnrDb: 0 }, { sqnrDb: 10 * equal }] } }));
`,
    );
    writeFileSync(path('ran.txt'), '');
    return [process.execPath, script] as const;
  };
  const ran = () => readFileSync(path('ran.txt'), 'utf8').trim().split('\n');
  afterEach(() => rmSync(path('map.json.trials'), { force: true }));
  const options = { fitness: 'distill', steps: 7, population: 4, generations: 3, output: path('map.json') } as const;

  test('run in processes, each map once, and the best one is written', async () => {
    const { search: found, mappings } = await search(student, { ...options, jobs: 2, program: program() });
    const best = found?.trials.toSorted((a, b) => a.score - b.score)[0];
    expect(mappings.at(-1)).toMatchObject({ method: 'genetic', map: best?.map });
    // One layer of two is in common: 10 dB.
    expect(found?.score).toBeCloseTo(best?.map.join() === WANTED.join() ? 0.01 : 0.1, 9);
    expect(new Set(ran()).size).toBe(ran().length);
    expect(ran()).toHaveLength(found?.scored as number);
    expect(ran()[0]).toMatch(/ 7 40$/);
    expect(Object.values(JSON.parse(readFileSync(path('map.json'), 'utf8')))).toEqual(best?.map);
    expect(existsSync(path('map.json.trials'))).toBe(false);
    const again = await search(student, { ...options, jobs: 1, program: program() });
    expect(again.search).toEqual(found);
  });

  test('that were interrupted are not run again, and other options do not go on from them', async () => {
    const runs = program();
    process.env['REFUSED'] = '4,5';
    const refused = search(student, { ...options, program: runs });
    await expect(refused).rejects.toThrow(/distillation with layers 4 5: has no gradient/);
    delete process.env['REFUSED'];
    const before = ran().length;
    const other = search(student, { ...options, steps: 8, resume: true, program: runs });
    await expect(other).rejects.toThrow(/map.json.trials: is of other models, texts or options/);
    const anew = search(student, { ...options, program: runs });
    await expect(anew).rejects.toThrow(/map.json.trials: holds the scores of a search that was interrupted/);
    const { search: found } = await search(student, { ...options, resume: true, program: runs });
    // The map that was refused is the one that ran twice.
    expect(ran()).toHaveLength((found?.scored as number) + 1);
    expect(ran().length).toBeGreaterThan(before);
    const nothing = search(student, { ...options, resume: true, program: runs });
    await expect(nothing).rejects.toThrow(/--resume: .*there is no such file/);
  });

  test('are not gone on from where texts were added behind those that layers are compared on', async () => {
    const texts = path('growing.txt');
    writeFileSync(texts, readFileSync(TEXTS));
    const runs = program();
    process.env['REFUSED'] = '4,5';
    await expect(search(student, { ...options, calibrate: texts, program: runs })).rejects.toThrow('4 5');
    delete process.env['REFUSED'];
    appendFileSync(texts, 'one more\n');
    const again = search(student, { ...options, calibrate: texts, resume: true, program: runs });
    await expect(again).rejects.toThrow(/map.json.trials: is of other models, texts or options/);
  });

  test('end with the first that fails: those beside it are waited for and kept, and no other one begins', async () => {
    const runs = program();
    // The map of the last layers is among the first ones.
    process.env['REFUSED'] = '4,5';
    const more = { ...options, population: 12, jobs: 2, program: runs };
    await expect(search(student, more)).rejects.toThrow('4 5');
    const before = ran().length;
    expect(before).toBeLessThan(12);
    await new Promise((done) => setTimeout(done, 500));
    expect(ran()).toHaveLength(before);
    const { trials } = JSON.parse(readFileSync(path('map.json.trials'), 'utf8'));
    expect(trials).toHaveLength(before - 1);
    delete process.env['REFUSED'];
  });

  test('need texts that they do not learn from', async () => {
    const script = path('no-curve.mjs');
    writeFileSync(script, `console.log('{"watched":{"samples":0,"curve":[]}}');`);
    const call = search(student, { ...options, program: [process.execPath, script] });
    await expect(call).rejects.toThrow(/sst2-train-256.txt: no text is left to measure a distillation with layers/);
  });
});

test.each([
  ['a search that is not asked for', { method: 'best', population: 4 }, '--population: is for --method genetic'],
  ['a fitness where nothing is made small', { method: 'last', fitness: 'error' }, '--fitness: is for --method best'],
  ['distillations of all maps', { method: 'best', fitness: 'distill' }, '--fitness distill: is for --method genetic'],
  ['trials that are not asked for', { jobs: 2 }, '--jobs: is for --method genetic --fitness distill'],
  ['scores that nobody keeps', { fitness: 'distill', program: ['node'] }, '--fitness distill: needs -o FILE'],
] as const)('refuses %s', async (_, options, problem) => {
  await expect(search(path(CHOSEN[0].join('')), options)).rejects.toThrow(problem);
});
