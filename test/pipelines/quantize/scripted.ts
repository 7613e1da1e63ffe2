import type { Graph, Node } from '../../../src/ir/graph.ts';
import type { NodeStatistics, StatisticsRequest } from '../../../src/ir/statistics.ts';
import { readF32, readIntegers, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { OpenedModel } from '../../../src/opened/opened-model.ts';
import { evidenceOf } from '../../../src/options/evidence.ts';
import { passChoice } from '../../../src/options/passes.ts';
import type { QuantizationOptions } from '../../../src/options/quantization.ts';
import { startRun } from '../../../src/options/run.ts';
import type { ShapeOptions } from '../../../src/options/shape.ts';
import { writingOf } from '../../../src/options/writing.ts';
import type { Target } from '../../../src/passes/index.ts';
import { withFolder } from '../../../src/pipelines/evaluate/loaded-model.ts';
import { NO_SAMPLES, type SampleSets } from '../../../src/pipelines/evaluate/sample-sets.ts';
import { CalibrationRuns, type Collect } from '../../../src/pipelines/quantize/calibration-runs.ts';
import { decide } from '../../../src/pipelines/quantize/decide.ts';
import type { DecideOptions } from '../../../src/pipelines/quantize/decision.ts';
import type { QuantizeJob } from '../../../src/pipelines/quantize/job.ts';
import { FloatAnswers } from '../../../src/pipelines/quantize/switched-model.ts';
import { Writer } from '../../../src/pipelines/quantize/writer.ts';
import { prepare } from '../../../src/pipelines/write/prepare.ts';
import { integerGemms } from '../../../src/quantization/forms/integer-gemms.ts';
import { SWITCHES } from '../../../src/quantization/switched-graph.ts';
import { targetNamed } from '../../../src/quantization/targets.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { graphOf } from '../../core.ts';
import { type FakeRuntime, type LoadedFile, useFakeRuntime } from '../fake-runtime.ts';
import { openedModel } from '../opened-model.ts';

/** A classifier of linears l1, l2, … behind each other, of which l1 has a quarter of the others' weights; its head is too narrow to be quantized. */
export function chain(linears = 3, words = 200): Graph {
  const layers = Array.from({ length: linears }, (_, i) => {
    const [from, width] = i === 0 ? ['first', 4] : [`t${i}`, 16];
    return `  l${i + 1} = linear(${from}, w${i + 1} f32[16, ${width}] #${i + 2}, b${i + 1} f32[16] #${i + 40})\n  t${i + 1} = tanh(l${i + 1})`;
  });
  return graphOf(`graph chain (input_ids: i64[1, sequence])
  words = gather(table f32[${words}, 4] #1, input_ids)
  active = relu(words)
  cut = slice(active) {axis: 1, end: 1}
  first = reshape(cut) {shape: [1, 4]}
${layers.join('\n')}
  head = linear(t${linears}, wh f32[2, 16] #99)
return logits: head`);
}

export function nodeOf(graph: Graph, name: string): Node {
  const found = graph.nodes().find((node) => node.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

/** The row of one id. */
const rowOf = (id: number): TokenRow => ({ inputIds: [id], tokenTypeIds: [0] });

const rowsOf = (from: number, count: number) => Array.from({ length: count }, (_, i) => rowOf(from + i));

/** Statistics as `peaks` says: what stands out of a node's values, which have an rms of 1. Writes down what was asked. */
export function collectorOf(peaks: { readonly [node: string]: number } = {}) {
  const asked: StatisticsRequest[][] = [];
  const collect: Collect = async (_, requests) => {
    asked.push([...requests]);
    return new Map(
      requests.map(({ node }): [string, NodeStatistics] => {
        const size = node.type.shape.at(-1) as number;
        const max = peaks[node.name] ?? 2;
        const all = (value: number) => new Float64Array(size).fill(value);
        const products = new Float64Array(size * size);
        for (let i = 0; i < size; i++) products[i * size + i] = 1;
        const counts = new Float64Array(64).fill(1);
        return [
          node.name,
          {
            rows: 1,
            min: -1,
            max,
            mean: 0,
            rms: 1,
            channels: { min: all(-1), max: all(max), mean: all(0.5), rms: all(1) },
            histogram: { limit: 2 ** Math.ceil(Math.log2(max + 1)), counts },
            gram: { size, rows: 1, products, sums: all(0) },
          },
        ];
      }),
    );
  };
  return { collect, asked };
}

/** Options of a decision on a few rows; every sample is apart from the trial's. */
export function decideOptions(more: Partial<DecideOptions> = {}): DecideOptions {
  const samples: SampleSets = {
    ...NO_SAMPLES,
    calibration: rowsOf(100, 32),
    validation: rowsOf(0, 10),
    proof: rowsOf(10, 40),
  };
  const { collect } = collectorOf();
  return {
    form: integerGemms,
    request: { scheme: 'int8', granularity: 'channel', rounding: 'nearest', range: 'minmax', integerOutputs: false },
    recipe: undefined,
    keeps: () => false,
    samples,
    feeds: { task: 'sequence-classification', pad: 0, mask: undefined },
    floatAnswers: new FloatAnswers(),
    collect,
    collectApart: { collect, count: 32 },
    collectUnseen: { collect, count: 0 },
    biasCorrection: false,
    refits: false,
    isRoundingAsked: false,
    fallback: 'float',
    scan: true,
    run: startRun({}),
    ...more,
  };
}

/** What a loaded file is. */
export interface Role {
  readonly kind: 'float' | 'switched' | 'written';
  /** Of this kind, in the order of loading, from 0. */
  readonly place: number;
  /** Groups whose integers are on, of a switched file. */
  readonly on: readonly number[];
  /** Which of l1, l2, … a written file says that it keeps in higher precision. */
  readonly kept: readonly string[];
}

/**
 * A runtime in which float files answer [1, 0] and others [1, error], by the first id of a row: an error above 1 is another
 * class.
 */
export function useScriptedErrors(error: (role: Role, id: number) => number): FakeRuntime {
  const places = new Map<LoadedFile, number>();
  const fake = useFakeRuntime((file, feeds) => {
    const kind = kindOf(file);
    if (!places.has(file)) places.set(file, fake.loaded.filter((other) => kindOf(other) === kind).indexOf(file));
    const switches = feeds.get(SWITCHES);
    const on = switches ? [...readF32(switches)].flatMap((value, group) => (value === 1 ? [group] : [])) : [];
    const kept = /"kept":\[([^\]]*)\]/.exec(file.text)?.[1]?.match(/\bl\d+/g) ?? [];
    const [id = 0] = readIntegers(feeds.get('input_ids') as Tensor);
    const off = kind === 'float' ? 0 : error({ kind, place: places.get(file) as number, on, kept }, id);
    return new Map([['logits', tensorOf('f32', [1, 2], Float32Array.of(1, off))]]);
  });
  return fake;
}

function kindOf({ graph, text }: LoadedFile): Role['kind'] {
  if (graph.inputs.some(({ name }) => name === SWITCHES)) return 'switched';
  return text.includes('mbert.quantization') ? 'written' : 'float';
}

/** What is written, and how. */
export interface Writes {
  build(target: Target, shapes?: ShapeOptions): Graph;
  readonly model?: Partial<OpenedModel>;
  readonly shape?: ShapeOptions;
  readonly quantization?: Partial<QuantizationOptions>;
  readonly maxDrop?: number | undefined;
  readonly maxSize?: number | undefined;
  readonly scan?: boolean | undefined;
}

/** Everything that a file is written by, its format told by the path; nothing is decided before it is asked for. */
export function writing(path: string, writes: Writes, more: Partial<DecideOptions> = {}) {
  const { build, shape = {}, quantization, maxDrop, maxSize, scan } = writes;
  const target = path.endsWith('.onnx') ? 'onnx' : 'tflite';
  const options = decideOptions(more);
  const { samples, feeds, run } = options;
  const model = openedModel({ build, reference: () => build('onnx'), architecture: 'chain', ...writes.model });
  const passes = passChoice({ passes: 'none' });
  const writing = writingOf({}, path, target);
  const job: QuantizeJob = {
    request: {
      source: 'chain',
      shape,
      passes,
      writing,
      evidence: evidenceOf({ maxDrop }, 128),
      quantization: { scheme: 'int8', scan, ...quantization },
      dumpRecipe: undefined,
      maxSize,
      outline: false,
    },
    model,
    fit: undefined,
    plan: { target, path },
    profile: targetNamed('cpu', target),
    samples,
    feeds,
    calibration: new CalibrationRuns(samples, 0, { shape, outline: false, run }),
    run,
  };
  const withWriter = <T>(work: (writer: Writer, graph: Graph) => Promise<T>) =>
    withFolder(async (scratch) => {
      const prepared = await prepare(model, target, { shape, passes, writing, run });
      return work(new Writer(job, prepared, scratch), prepared.graph);
    });
  return {
    writeDecision: () =>
      withWriter(async (writer, graph) => writer.writeDecision(await decide(graph, options), options)),
    writeHalves: () => withWriter((writer) => writer.writeHalves()),
  };
}
