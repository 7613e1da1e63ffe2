import { describe, expect, test } from 'vitest';
import { collectStatistics } from '../../src/calibration/statistics.ts';
import { openSource } from '../../src/importers/index.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { Graph, type Node } from '../../src/ir/graph.ts';
import { type PassContext, runPasses } from '../../src/ir/pass.ts';
import type { ChannelStatistics } from '../../src/ir/statistics.ts';
import { integerTensor, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { buildModel } from '../../src/models/index.ts';
import { passes, selectPasses } from '../../src/passes/index.ts';
import { smoothTensors } from '../../src/passes/smooth-tensors.ts';
import { dividedByPeak } from '../../src/passes/smoothing/token-peaks.ts';
import type { TokenRow } from '../../src/samples/feeds.ts';
import { graphOf, randomTensor } from '../core.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { writeLoudEncoder } from './loud-encoder.ts';

const SMOOTH = passes.filter(({ pass }) => pass.name === 'smooth-activations').map(({ pass }) => pass);
const LOUD = writeLoudEncoder(`${temporaryFolder()}/loud`);

const SAMPLES: readonly TokenRow[] = Array.from({ length: 6 }, (_, i) => {
  const inputIds = Array.from({ length: 12 + i }, (_, t) => 1 + ((t * 37 + i * 101) % 590));
  return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
});

async function graphOfFolder(folder: string): Promise<Graph> {
  const source = await openSource(folder);
  if (source.yields !== 'checkpoint') throw new Error(`${folder} holds no weights`);
  return buildModel(source.checkpoint, { batch: 1, sequenceLength: 'sequence', indexType: 'i64' }).graph;
}

function calibrated(graph: Graph, keeps: PassContext['keeps'] = () => false): PassContext {
  return { keeps, statistics: (requests) => collectStatistics(graph, requests, SAMPLES, { pad: 0, threads: 1 }) };
}

function answers(graph: Graph): Float32Array {
  const ids = [101, 7, 430, 22, 599, 3, 58, 102];
  const feeds = new Map<string, Tensor>([
    ['input_ids', integerTensor('i64', ids, [1, ids.length])],
    [
      'attention_mask',
      integerTensor(
        'i64',
        ids.map(() => 1),
        [1, ids.length],
      ),
    ],
    [
      'token_type_ids',
      integerTensor(
        'i64',
        ids.map(() => 0),
        [1, ids.length],
      ),
    ],
  ]);
  return readF32([...evaluate(graph, feeds).values()][0] as Tensor);
}

const NOTE =
  /: (?:(\d+) of \d+ channels divided by up to ([\d.]+), )?tokens by their peaks(?:, \d+ \w+ in floats beside)?: ([\d.]+) -> ([\d.]+) dB$/;

describe('an encoder with loud channels and neurons', () => {
  test('computes what it did, alone and behind the other passes', async () => {
    const plain = await graphOfFolder(LOUD);
    const expected = answers(plain);
    const forTokens = selectPasses('centre-norms,smooth-tokens', 'tflite');
    const forTensors = selectPasses('centre-norms,smooth-tensors,put-sequence-first,repeat-mask', 'onnx');
    for (const chosen of [SMOOTH, selectPasses('centre-norms,smooth-activations', 'onnx'), forTokens, forTensors]) {
      const graph = await graphOfFolder(LOUD);
      const reports = await runPasses(graph, chosen, calibrated(graph));
      expect(reports.find(({ pass }) => pass.name.startsWith('smooth-'))?.rewrites).toBeGreaterThan(3);
      answers(graph).forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] as number, 4);
      });
    }
  });

  test('has its loudest neurons and channels beside the integers, and says what that is to bring', async () => {
    const graph = await graphOfFolder(LOUD);
    const [report] = await runPasses(graph, SMOOTH, calibrated(graph));
    const notes = report?.notes ?? [];
    const found = notes.map((note) => note.split(':')[0] as string);
    for (const layer of ['bert.encoder.layer.0', 'bert.encoder.layer.1']) {
      expect(found).toContain(`${layer}.attention.output.LayerNorm`);
      expect(notes.find((note) => note.startsWith(`${layer}.attention.output.LayerNorm`))).toContain(
        '4 channels in floats',
      );
      expect(notes.find((note) => note.startsWith(`${layer}.intermediate.gelu`))).toContain('11 neurons in floats');
    }
    expect(notes.at(-1)).toMatch(/^all of these: [\d.]+ -> [\d.]+ dB$/);
    const ranges = /^(\d+) values: ([\d.]+) to ([\d.]+) -> ([\d.]+) to ([\d.]+) dB, the least is (\S+); together (.*)$/;
    const [, values, ...summed] = ranges.exec(report?.summary ?? '') ?? [];
    const measured = notes.slice(0, -1).map((note) => NOTE.exec(note)?.slice(3, 5).map(Number) ?? []);
    const ends = [0, 1].flatMap((side) => {
      const numbers = measured.map((each) => each[side] as number);
      return [Math.min(...numbers), Math.max(...numbers)].map((number) => number.toFixed(1));
    });
    const least = measured.findIndex(([, after]) => after?.toFixed(1) === ends[2]);
    expect(Number(values)).toBe(measured.length);
    expect(summed).toEqual([...ends, found[least], notes.at(-1)?.slice('all of these: '.length)]);
    for (const note of notes.slice(0, -1)) {
      const [, count, largest, before = 0, after = 0] = NOTE.exec(note) ?? [];
      // Scales would only make columns loud behind a GELU, whose tokens have peaks of their own.
      expect(count === undefined).toBe(note.includes('.gelu: '));
      if (largest !== undefined) expect(Number(largest)).toBeGreaterThan(1);
      expect(Number(after)).toBeGreaterThanOrEqual(Number(before));
    }
  });

  test('gives every token of what its linears read its own peak, so that a loud text harms no other', async () => {
    const graph = await graphOfFolder(LOUD);
    await runPasses(graph, SMOOTH, calibrated(graph));
    const reads = graph
      .nodes()
      .filter(({ op, name }) => op === 'linear' && /layer.*(dense|query|key|value)$/.test(name));
    expect(reads).toHaveLength(12);
    const peaks = reads.map(({ inputs: [x] }) => (x?.op === 'div' ? x.inputs[1]?.op : x?.op));
    expect(new Set(peaks)).toEqual(new Set(['maximum', 'sqrt']));
    const statistics = await collectStatistics(
      graph,
      reads.map(({ inputs: [x] }) => ({ node: x as Node })),
      SAMPLES,
      { pad: 0, threads: 1 },
    );
    for (const { min, max } of statistics.values()) {
      expect(Math.max(-min, max)).toBeLessThan(1.0001);
      expect(Math.max(-min, max)).toBeGreaterThan(0.9);
    }
  });

  test('divides no token of zeros by zero', async () => {
    const graph = new Graph('zeros');
    const x = graph.input('x', { dtype: 'f32', shape: [1, 2, 3] });
    const gelu = graph.add('gelu', [x]);
    for (const read of [x, gelu]) graph.output(`${read.op} by its peak`, dividedByPeak(graph, read).value);
    const zeros = tensorOf('f32', [1, 2, 3], Float32Array.of(0, 0, 0, 3, -4, 0));
    const [plain, active] = [...evaluate(graph, new Map([['x', zeros]])).values()].map(readF32);
    expect(plain).toEqual(Float32Array.of(0, 0, 0, 0.75, -1, 0));
    expect(active?.slice(0, 3)).toEqual(Float32Array.of(0, 0, 0));
    expect(active?.[3]).toBe(1);
  });

  test('for dynamic linears has its loudest neurons beside and no product behind its GELUs', async () => {
    const graph = await graphOfFolder(LOUD);
    const forTokens = passes.filter(({ pass }) => pass.name === 'smooth-tokens').map(({ pass }) => pass);
    const [report] = await runPasses(graph, forTokens, calibrated(graph));
    const notes = report?.notes?.filter((note) => note.includes('.gelu: ')) ?? [];
    expect(notes.map((note) => note.replace(/ [\d.]+ -> .*/, ''))).toEqual(
      [0, 1].map((n) => `bert.encoder.layer.${n}.intermediate.gelu: 11 neurons in floats beside:`),
    );
    const down = graph.nodes().find(({ name }) => name === 'bert.encoder.layer.0.output.dense');
    expect(down?.inputs[0]?.op).toBe('gelu');
    const up = graph.nodes().find(({ name }) => name === 'bert.encoder.layer.0.intermediate.dense');
    expect(up?.inputs[0]).toMatchObject({ op: 'mul', inputs: [{ op: 'layerNorm' }, { op: 'constant' }] });
  });

  test('keeps what reads its norms besides linears as it was', async () => {
    const graph = await graphOfFolder(LOUD);
    await runPasses(graph, SMOOTH, calibrated(graph));
    const residual = graph.nodes().find(({ name }) => name === 'bert.encoder.layer.0.output.residual');
    expect(residual?.inputs.map(({ op }) => op).sort()).toEqual(['add', 'layerNorm']);
  });

  test('is left alone around nodes that are to be kept, and without samples', async () => {
    const graph = await graphOfFolder(LOUD);
    const keeps = ({ name }: { readonly name: string }) => /layer\.0\.(intermediate|output)/.test(name);
    const [report] = await runPasses(graph, SMOOTH, calibrated(graph, keeps));
    expect(report?.notes?.filter((note) => /layer\.0\.(intermediate|attention\.output)/.test(note))).toEqual([]);
    const [without] = await runPasses(await graphOfFolder(LOUD), SMOOTH);
    expect(without).toMatchObject({ rewrites: 0, declined: ['needs calibration samples'] });
  });
});

describe('smooth-tensors, where all tokens share one range', () => {
  const FEED_FORWARD = `graph g (x: f32[2, 5, 32])
  up = linear(x, u f32[64, 32] #1, b f32[64] #2)
  active = gelu(up)
  down = linear(active, d f32[32, 64] #3)
return y: down`;
  /** A context in which neurons reach from -0.17 to a peak. */
  const reaching = (peak: (neuron: number) => number): PassContext => ({
    keeps: () => false,
    async statistics(requests) {
      const neurons = Array.from({ length: 64 }, (_, i) => i);
      const [least, rms] = [-0.17, 0.3].map((value) => Float64Array.from(neurons, () => value));
      const channels = { min: least, max: Float64Array.from(neurons, peak), mean: rms, rms } as ChannelStatistics;
      const all = { rows: 10, min: -0.17, max: Math.max(...channels.max), mean: 0, rms: 0.3, channels };
      return new Map(requests.map(({ node }) => [node.name, all]));
    },
  });

  test.each([
    [
      'three neurons that are loud by far are computed beside',
      (n: number) => (n < 3 ? 60 : 1),
      /^active: 11 neurons in floats beside: /,
    ],
    [
      'many that are louder are scaled',
      (n: number) => (n < 32 ? 20 : 5),
      /^active: 32 of 64 channels divided by up to 3\.\d: /,
    ],
  ])('of a GELU %s', async (_, peak, note) => {
    const graph = graphOf(FEED_FORWARD);
    const x = randomTensor({ dtype: 'f32', shape: [2, 5, 32] }, 3);
    const before = readF32(evaluate(graph, new Map([['x', x]])).get('y') as Tensor);
    const [report] = await runPasses(graph, [smoothTensors], reaching(peak));
    expect(report?.notes).toEqual([expect.stringMatching(note)]);
    readF32(evaluate(graph, new Map([['x', x]])).get('y') as Tensor).forEach((value, i) => {
      expect(value).toBeCloseTo(before[i] as number, 4);
    });
  });
});

test.each([SMOOTH, [smoothTensors]])('an encoder without loud values stays as it is', async (...chosen) => {
  const graph = await graphOfFolder('fixtures/minilm-features');
  const before = graph.nodes().length;
  const [report] = await runPasses(graph, chosen, calibrated(graph));
  expect(report).toMatchObject({ rewrites: 0, declined: [] });
  expect(graph.nodes().length).toBe(before);
});

test('a MobileBERT with LayerNorm, of which calibrated ranges hold enough, has no dynamic linears in their place', async () => {
  const graph = await graphOfFolder('fixtures/mobilebert-demo');
  const before = graph.nodes().length;
  const forTokens = passes.filter(({ pass }) => pass.name === 'smooth-tokens').map(({ pass }) => pass);
  const [report] = await runPasses(graph, forTokens, calibrated(graph));
  expect(report).toMatchObject({ rewrites: 0, declined: [] });
  expect(graph.nodes()).toHaveLength(before);
});
