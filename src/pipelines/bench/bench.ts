import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { tokenizerFilesAt } from '../../importers/tokenizer-files.ts';
import { sizeOf } from '../../ir/shape.ts';
import type { ModelOptions } from '../../options/model.ts';
import { type Run, type RunOptions, startRun } from '../../options/run.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { type BenchFeedOptions, type Feeds, feedsFor, type Loaded, shapesOf } from './feeds.ts';
import { peakMemoryOf } from './memory.ts';
import { type BenchModel, openBenchModels } from './models.ts';
import { type Profile, profileOf } from './profile.ts';
import { reasonsFor } from './slower.ts';
import { type Spread, spreadOf } from './spread.ts';

export interface BenchOptions extends Pick<ModelOptions, 'task'>, RunOptions {
  /** .onnx and .tflite files run as they are; other sources are written as both formats first. */
  readonly models: readonly string[];
  /** What the others are compared with. Default: the first of `models`. */
  readonly against?: string | undefined;
  /** Of files that leave it open. Default: that of a file that does not, else 128. */
  readonly sequenceLength?: number | undefined;
  /** Default 1. */
  readonly batch?: number | undefined;
  /** How many runs of each model are timed. Default 30. */
  readonly runs?: number | undefined;
  /** How many come before them. Default 3. */
  readonly warmup?: number | undefined;
  /** ONNX Runtime only: LiteRT in WebAssembly has one. Default 1. */
  readonly threads?: number | undefined;
  /** A file of texts. Default: random tokens. */
  readonly data?: string | undefined;
  readonly vocab?: string | undefined;
  readonly seed?: number | undefined;
  /** Where the time goes inside, as far as the runtime tells. */
  readonly profile?: boolean | undefined;
  /** Measures memory in a process for each model. Default true. */
  readonly memory?: boolean | undefined;
}

export interface BenchRow {
  readonly model: string;
  readonly format: 'onnx' | 'tflite';
  readonly runtime: string;
  /** What it was fed with; the length varies where texts meet a file that takes any. */
  readonly shape: readonly (number | 'varies')[];
  readonly bytes: number;
  /** Reading and preparing the file: the median of three. */
  readonly loadMs: number;
  /** Resident memory that loading and one run take at most, over Node and the runtime; null where it was not measured. */
  readonly peakMemoryBytes: number | null;
  /** Of one run. Process CPU time is what one thread computes; wall time is what the user waits, and others disturb. */
  readonly cpuMs: Spread;
  readonly wallMs: Spread;
  /** The first row's time over this one's: 2 is twice as fast. By CPU time with one thread, else by wall time. */
  readonly ratio: number;
  /** Null where it was not asked for, or the runtime has none. */
  readonly profile: Profile | null;
  /** Why a file that stores less than floats is slower than floats in the same runtime; empty where it is not. */
  readonly slower: readonly string[];
}

export interface BenchResult {
  readonly processor: string;
  readonly threads: number;
  readonly runs: number;
  readonly warmup: number;
  readonly measure: 'cpu' | 'wall';
  readonly rows: readonly BenchRow[];
  readonly warnings: readonly string[];
}

const RUNS = 30;
const WARMUP = 3;
const LOADS = 3;
const PROFILED_RUNS = 10;

/** Times models beside each other on the same tokens. Throws what loading and running throw; nothing is left behind. */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const sources = options.against === undefined ? options.models : [options.against, ...options.models];
  if (sources.length === 0) throw new MbertError('USAGE', 'bench: there is no model to time');
  const run = startRun(options);
  const folder = mkdtempSync(join(tmpdir(), 'mbert-bench-'));
  const warnings: string[] = [];
  try {
    const models: BenchModel[] = [];
    for (const [i, source] of sources.entries()) {
      run.progress(`reading ${source}`);
      const { task, sequenceLength, batch } = options;
      const wanted = { task, shape: { sequenceLength, batch } };
      models.push(
        ...(await openBenchModels(source, join(folder, `${i}`), wanted, (warning) => warnings.push(warning))),
      );
    }
    return await benchModels(models, options, run, warnings);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function benchModels(models: readonly BenchModel[], options: BenchOptions, run: Run, warnings: string[]) {
  const { runs = RUNS, warmup = WARMUP, threads = 1 } = options;
  const sessions: RuntimeSession[] = [];
  try {
    const loads = await loadAll(models, threads, sessions, run);
    const loaded: Loaded[] = models.map((model, i) => ({ model, session: sessions[i] as RuntimeSession }));
    const feedOptions: BenchFeedOptions = {
      sequenceLength: options.sequenceLength,
      batch: options.batch,
      data: options.data,
      tokenizer: options.vocab === undefined ? undefined : tokenizerFilesAt(options.vocab),
      seed: options.seed ?? 1,
    };
    const shapes = shapesOf(loaded, feedOptions);
    const { feeds, warnings: found } = feedsFor(loaded, shapes, warmup + runs, feedOptions);
    warnings.push(...found, ...unequalWork(loaded, shapes));
    const times = await runAll(loaded, feeds, warmup, run);
    const measure = threads === 1 ? 'cpu' : 'wall';
    const first = times[0]?.[measure].median as number;
    const rows: BenchRow[] = [];
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
    return { processor: cpus()[0]?.model ?? process.arch, threads, runs, warmup, measure, rows, warnings } as const;
  } finally {
    for (const session of sessions) await session.close();
  }
}

function isOpen(session: RuntimeSession, { sequenceLength }: BenchOptions): boolean {
  return sequenceLength === undefined && typeof session.inputs[0]?.shape.at(-1) !== 'number';
}

async function nameOf({ path }: BenchModel): Promise<string> {
  const runtime = runtimeFor(path);
  return `${runtime.name} ${await runtime.version()}`;
}

/** Loads in turns, as what comes first finds the disk cold; the last session of each stays, in `sessions`. */
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
      // The runtime itself is loaded once, and is not the model's.
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

/** One run of each model after the other, so that a machine that slows down slows all of them. */
async function runAll(
  loaded: readonly Loaded[],
  feeds: readonly (readonly Feeds[])[],
  warmup: number,
  { progress }: Run,
): Promise<Times[]> {
  const rounds = feeds[0]?.length ?? 0;
  const cpu: number[][] = loaded.map(() => []);
  const wall: number[][] = loaded.map(() => []);
  for (let round = 0; round < rounds; round++) {
    progress('running', round, rounds);
    for (let turn = 0; turn < loaded.length; turn++) {
      // Who comes first changes from round to round: it finds what its neighbour left in the caches.
      const i = (round + turn) % loaded.length;
      const feed = feeds[i]?.[round] as Feeds;
      const before = process.cpuUsage();
      const start = performance.now();
      await (loaded[i] as Loaded).session.run(feed);
      const elapsed = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      if (round < warmup) continue;
      wall[i]?.push(elapsed);
      cpu[i]?.push((user + system) / 1000);
    }
  }
  return loaded.map((_, i) => ({ cpu: spreadOf(cpu[i] as number[]), wall: spreadOf(wall[i] as number[]) }));
}

/** Ratios of unequal work say nothing of the models. */
function unequalWork(loaded: readonly Loaded[], shapes: readonly (readonly number[])[]): string[] {
  const odd = shapes.findIndex((shape) => shape.join() !== shapes[0]?.join());
  if (odd < 0) return [];
  const told = (i: number) => `${loaded[i]?.model.name} runs [${shapes[i]?.join(', ')}]`;
  return [`${told(0)} and ${told(odd)}: their ratio is not one of equal work`];
}

/** Reasons where a smaller storage costs time, beyond the spread of the measurement, in the same runtime. */
async function slowerBecause(
  i: number,
  loaded: readonly Loaded[],
  times: readonly Times[],
  measure: 'cpu' | 'wall',
  shapes: readonly (readonly number[])[],
): Promise<string[]> {
  const { model } = loaded[i] as Loaded;
  const shape = shapes[i] as readonly number[];
  const float = loaded.findIndex(
    (other, n) =>
      other.model.format === model.format && other.model.storage === 'f32' && shapes[n]?.join() === shape.join(),
  );
  if (float < 0 || (model.storage !== 'integers' && model.storage !== 'f16')) return [];
  const [own, others] = [times[i] as Times, times[float] as Times];
  if (own[measure].low <= others[measure].median) return [];
  const factor = own[measure].median / others[measure].median;
  const what = model.storage === 'integers' ? 'integers are' : 'f16 is';
  const heading = `${what} ${factor.toFixed(2)} times slower than the floats of ${loaded[float]?.model.name}`;
  const reasons = await reasonsFor(model, sizeOf(shape));
  return [heading, ...(reasons.length > 0 ? reasons : ['no rule finds a reason: --profile shows where the time goes'])];
}
