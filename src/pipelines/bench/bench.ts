import { cpus } from 'node:os';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { tokenizerFilesAt } from '../../importers/tokenizer-files.ts';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import { sizeOf } from '../../ir/shape.ts';
import { type ColumnOptions, columnsOf, refuseUnreadVocabulary } from '../../options/evidence.ts';
import type { ModelOptions } from '../../options/model.ts';
import { type Run, type RunOptions, startRun } from '../../options/run.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { type BenchFeedOptions, type Feeds, feedsFor, shapesOf, type TimedModel } from './feeds.ts';
import { peakMemoryOf } from './memory.ts';
import { type BenchFormat, type BenchModel, openBenchModels } from './models.ts';
import { type Profile, profileOf } from './profile.ts';
import { reasonsFor } from './slower.ts';
import { type Spread, spreadOf } from './spread.ts';
import { notFinite, unequalWork, withoutNumbers } from './work.ts';

/** Options of `bench`. */
export interface BenchOptions extends Pick<ModelOptions, 'task'>, RunOptions, Pick<ColumnOptions, 'text' | 'pair'> {
  /** .onnx and .tflite files run as they are; other sources are written as both first, those of TF.js run besides. */
  readonly models: readonly string[];
  /** Model that the others are compared with. Default: the first of `models`. */
  readonly against?: string | undefined;
  /** Tokens in a sequence, for files that leave it open. Default: the length of a file that fixes it, else 128. */
  readonly sequenceLength?: number | undefined;
  /** Sequences in a run, for files that leave it open. Default 1. */
  readonly batch?: number | undefined;
  /** Runs of each model that are timed. Default 30. */
  readonly runs?: number | undefined;
  /** Runs of each model before those. Default 3. */
  readonly warmup?: number | undefined;
  /** Threads of ONNX Runtime; LiteRT in WebAssembly has one. Default 1. */
  readonly threads?: number | undefined;
  /** A file of texts to run on. Default: random tokens. */
  readonly data?: string | undefined;
  /** A vocab.txt in place of that of the first model that has one. */
  readonly vocab?: string | undefined;
  /** Seed of the random tokens. Default 1. */
  readonly seed?: number | undefined;
  /** Measures where the time goes inside a run, in ONNX Runtime only. Default false. */
  readonly profile?: boolean | undefined;
  /** Measures peak memory, in a process of its own for each model. Default true. */
  readonly memory?: boolean | undefined;
}

/** Measurements of one model. */
export interface BenchRow {
  readonly model: string;
  readonly format: BenchFormat;
  /** Name and version, as `onnxruntime 1.30.0`. */
  readonly runtime: string;
  /** Shape of its inputs; the length varies where texts meet a file that takes any length. */
  readonly shape: readonly (number | 'varies')[];
  /** Size of the file, external data included. */
  readonly bytes: number;
  /** Time to read and prepare the file: the median of three. */
  readonly loadMs: number;
  /**
   * Resident memory that loading and one run take at most, over Node and the runtime; null where it was not measured.
   */
  readonly peakMemoryBytes: number | null;
  /**
   * Times of one run. CPU time of the process is what one thread computes; wall time is what the user waits, and other
   * processes disturb it.
   */
  readonly cpuMs: Spread;
  readonly wallMs: Spread;
  /** The first row's time over this one's: 2 is twice as fast. By CPU time with one thread, else by wall time. */
  readonly ratio: number;
  /** Time by op and by node; null where it was not asked for, or the runtime has no profile. */
  readonly profile: Profile | null;
  /**
   * Reasons why a file that stores less than floats is slower than floats in the same runtime; empty where it is not.
   */
  readonly slower: readonly string[];
}

/** Source of the tokens that were run: texts of a file, or random ones of a seed. */
export type BenchInputs =
  | {
      readonly data: string;
      /** Number of texts that were run, in the runs before those that are timed too. */
      readonly texts: number;
    }
  | { readonly seed: number };

/** Result of `bench`. The model that others are compared with comes first. */
export interface BenchResult {
  readonly processor: string;
  readonly threads: number;
  readonly runs: number;
  readonly warmup: number;
  /** The time that ratios compare. */
  readonly measure: 'cpu' | 'wall';
  readonly inputs: BenchInputs;
  readonly rows: readonly BenchRow[];
  readonly warnings: readonly string[];
}

const RUNS = 30;
const WARMUP = 3;
const LOADS = 3;
const PROFILED_RUNS = 10;

/**
 * Times models in turns on the same tokens. Throws USAGE where there is no model, and what loading and running throw;
 * no temporary file is left behind.
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const sources = options.against === undefined ? options.models : [options.against, ...options.models];
  if (sources.length === 0) throw new MbertError('USAGE', 'bench: there is no model to time');
  refuseUnreadVocabulary(options.vocab, options.data);
  const run = startRun(options);
  const folder = makeTemporaryFolder('bench');
  const warnings: string[] = [];
  try {
    const models: BenchModel[] = [];
    run.plan(['read', 'load', 'run', 'measure']);
    for (const [i, source] of sources.entries()) {
      run.progress(`reading ${source}`);
      const { task, sequenceLength, batch } = options;
      const sourceOptions = { task, shape: { sequenceLength, batch } };
      models.push(
        ...(await openBenchModels(source, join(folder.path, `${i}`), sourceOptions, (warning) =>
          warnings.push(warning),
        )),
      );
    }
    return await benchModels(models, options, run, warnings);
  } finally {
    folder.remove();
  }
}

async function benchModels(models: readonly BenchModel[], options: BenchOptions, run: Run, warnings: string[]) {
  const { runs = RUNS, warmup = WARMUP, threads = 1 } = options;
  const sessions: RuntimeSession[] = [];
  try {
    run.enter('load');
    const loads = await loadAll(models, threads, sessions, run);
    const loaded: TimedModel[] = models.map((model, i) => ({ model, session: sessions[i] as RuntimeSession }));
    const feedOptions: BenchFeedOptions = {
      sequenceLength: options.sequenceLength,
      batch: options.batch,
      data: options.data,
      tokenizer: options.vocab === undefined ? undefined : tokenizerFilesAt(options.vocab),
      seed: options.seed ?? 1,
      columns: columnsOf({ text: options.text, pair: options.pair }, options.data !== undefined),
      note: run.note,
    };
    const shapes = shapesOf(loaded, feedOptions);
    const { feeds, texts, warnings: found } = feedsFor(loaded, shapes, warmup + runs, feedOptions);
    const { data, seed } = feedOptions;
    const inputs = data === undefined || texts === null ? { seed } : { data, texts };
    warnings.push(...found, ...unequalWork(loaded, feeds));
    run.enter('run');
    const { times, brokenOutputs } = await runAll(loaded, feeds, warmup, run);
    warnings.push(...loaded.flatMap(({ model }, i) => notFinite(model.name, brokenOutputs[i] as Set<string>)));
    if (options.profile) warnings.push(...withoutProfile(models));
    const measure = threads === 1 ? 'cpu' : 'wall';
    const first = times[0]?.[measure].median as number;
    const rows: BenchRow[] = [];
    run.enter('measure');
    for (const [i, { model, session }] of loaded.entries()) {
      const { cpu, wall } = times[i] as Times;
      const shape = shapes[i] as number[];
      run.progress(`measuring ${model.name}`);
      rows.push({
        model: model.name,
        format: model.format,
        runtime: await nameOf(model),
        shape: options.data !== undefined && isOpen(session, options) ? [...shape.slice(0, -1), 'varies'] : shape,
        bytes: model.bytes,
        loadMs: spreadOf(loads[i] as number[]).median,
        peakMemoryBytes:
          options.memory === false ? null : await peakMemoryOf(model.path, feeds[i]?.[0] as Feeds, threads),
        cpuMs: cpu,
        wallMs: wall,
        ratio: first / (times[i] as Times)[measure].median,
        profile:
          options.profile && model.format === 'onnx'
            ? await profileOf(model.path, (feeds[i] as Feeds[]).slice(0, PROFILED_RUNS), threads)
            : null,
        slower: await slowerBecause(i, loaded, times, measure, shapes),
      });
    }
    const processor = cpus()[0]?.model ?? process.arch;
    return { processor, threads, runs, warmup, measure, inputs, rows, warnings } as const;
  } finally {
    for (const session of sessions) await session.close();
  }
}

function withoutProfile(models: readonly BenchModel[]): string[] {
  const names = models.filter(({ format }) => format !== 'onnx').map(({ name }) => name);
  return names.length === 0 ? [] : [`${names.join(', ')}: no profile: only ONNX Runtime has one`];
}

function isOpen(session: RuntimeSession, { sequenceLength }: BenchOptions): boolean {
  return sequenceLength === undefined && typeof session.inputs[0]?.shape.at(-1) !== 'number';
}

async function nameOf({ path }: BenchModel): Promise<string> {
  const runtime = runtimeFor(path);
  return `${runtime.name} ${await runtime.version()}`;
}

/**
 * Loads each model several times, in turns, as the first load finds the disk cold, and returns the times in ms. The
 * last session of each model is kept, in `sessions`.
 */
async function loadAll(
  models: readonly BenchModel[],
  threads: number,
  sessions: RuntimeSession[],
  { progress }: Run,
): Promise<number[][]> {
  const loads: number[][] = models.map(() => []);
  for (let round = 0; round < LOADS; round++) {
    for (const [i, { path, name }] of models.entries()) {
      progress(`loading ${name}`);
      const runtime = runtimeFor(path);
      // Loading the runtime itself happens once and is not the model's time.
      await runtime.version();
      const start = performance.now();
      const session = await runtime.load(path, { threads });
      loads[i]?.push(performance.now() - start);
      if (round === LOADS - 1) sessions.push(session);
      else await session.close();
    }
  }
  return loads;
}

interface Times {
  readonly cpu: Spread;
  readonly wall: Spread;
}

/** Runs the models in turns, so that a machine that slows down slows all of them. */
async function runAll(
  loaded: readonly TimedModel[],
  feeds: readonly (readonly Feeds[])[],
  warmup: number,
  { progress }: Run,
): Promise<{ readonly times: readonly Times[]; readonly brokenOutputs: readonly Set<string>[] }> {
  const rounds = feeds[0]?.length ?? 0;
  const brokenOutputs = loaded.map(() => new Set<string>());
  const cpu: number[][] = loaded.map(() => []);
  const wall: number[][] = loaded.map(() => []);
  for (let round = 0; round < rounds; round++) {
    progress('running', round, rounds);
    for (let turn = 0; turn < loaded.length; turn++) {
      // The order rotates, as each model finds in the caches what the one before it left there.
      const i = (round + turn) % loaded.length;
      const feed = feeds[i]?.[round] as Feeds;
      const before = process.cpuUsage();
      const start = performance.now();
      const outputs = await (loaded[i] as TimedModel).session.run(feed);
      const elapsed = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      for (const name of withoutNumbers(outputs)) brokenOutputs[i]?.add(name);
      if (round < warmup) continue;
      wall[i]?.push(elapsed);
      cpu[i]?.push((user + system) / 1000);
    }
  }
  const times = loaded.map((_, i) => ({ cpu: spreadOf(cpu[i] as number[]), wall: spreadOf(wall[i] as number[]) }));
  return { times, brokenOutputs };
}

/**
 * Explains why model `i` is slower than a float model of its format and shape, where smaller storage costs time beyond
 * the spread of the measurement; empty elsewhere.
 */
async function slowerBecause(
  i: number,
  loaded: readonly TimedModel[],
  times: readonly Times[],
  measure: 'cpu' | 'wall',
  shapes: readonly (readonly number[])[],
): Promise<string[]> {
  const { model } = loaded[i] as TimedModel;
  const shape = shapes[i] as readonly number[];
  const float = loaded.findIndex(
    (other, n) =>
      other.model.format === model.format && other.model.storage === 'f32' && shapes[n]?.join() === shape.join(),
  );
  if (float < 0 || (model.storage !== 'integers' && model.storage !== 'f16')) return [];
  const [ownTimes, floatTimes] = [times[i] as Times, times[float] as Times];
  if (ownTimes[measure].low <= floatTimes[measure].median) return [];
  const factor = ownTimes[measure].median / floatTimes[measure].median;
  const what = model.storage === 'integers' ? 'integers are' : 'f16 is';
  const heading = `${what} ${factor.toFixed(2)} times slower than the floats of ${loaded[float]?.model.name}`;
  const reasons = await reasonsFor(model, sizeOf(shape));
  return [heading, ...(reasons.length > 0 ? reasons : ['no rule finds a reason: --profile shows where the time goes'])];
}
