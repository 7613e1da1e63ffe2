import { listNames, MbertError } from '../../errors.ts';
import type { Task } from '../../models/index.ts';
import { openModel } from '../../opened/open-model.ts';
import type { ColumnOptions } from '../../options/evidence.ts';
import type { RunOptions } from '../../options/run.ts';
import { type BenchResult, type BenchRow, bench } from '../bench/bench.ts';
import type { Drop, VerifyResult } from '../verify/types.ts';
import { verify } from '../verify/verify.ts';
import { onFront } from './front.ts';

/** Options of `compare`. */
export interface CompareOptions extends RunOptions, ColumnOptions {
  /** .onnx and .tflite files. */
  readonly models: readonly string[];
  /** The reference: the checkpoint or file that they were made from. */
  readonly against: string;
  /** Texts, with labels or without. Default: 64 token sequences made from a seed. */
  readonly data?: string | undefined;
  /** Number of samples, the first of the file. Default: all. */
  readonly samples?: number | undefined;
  readonly task?: Task | undefined;
  /** In place of the models' own vocabulary. */
  readonly vocab?: string | undefined;
  /** Tokens in a sequence, for files that leave it open. Default: the one length that other files are fixed to. */
  readonly sequenceLength?: number | undefined;
  /** Runs of each model that are timed. Default 30. */
  readonly runs?: number | undefined;
  /** Threads of ONNX Runtime; LiteRT in WebAssembly has one. Default 1. */
  readonly threads?: number | undefined;
}

/** One model: what it takes and what it loses. */
export interface ComparedModel {
  readonly model: string;
  readonly format: BenchRow['format'];
  readonly runtime: string;
  /** Size of the file, external data included. */
  readonly bytes: number;
  /** Median time of one run, in milliseconds, by the clock of the result's `measure`. */
  readonly ms: number;
  /** The first model's time over this one's. */
  readonly speed: number;
  /** Lowest SQNR of an output in dB; null where all outputs are equal. */
  readonly sqnrDb: number | null;
  /** Share of answers equal to the reference's, or what stands in its place (see `verify`). */
  readonly agreement: number | null;
  /** Task metric of the model; null without labels. */
  readonly metric: number | null;
  /** What is lost against the reference, in percentage points. */
  readonly lost: number;
  /** Number of samples that are answered otherwise; null where a sample has no single answer. */
  readonly changed: number | null;
  /**
   * True where no other model of the same format is at least as small, as fast and as good, and better in one of the
   * three: the others need not be looked at.
   */
  readonly isOnFront: boolean;
  /** Reasons why the model must not be used, as an output that holds NaN. */
  readonly failures: readonly string[];
}

/** Result of `compare`. */
export interface CompareResult extends Pick<BenchResult, 'processor' | 'threads' | 'runs' | 'measure'> {
  readonly against: string;
  readonly task: Task | null;
  /** Samples that every model answered, and where they are from. */
  readonly inputs: VerifyResult['inputs'];
  /** What `lost` is lost of. */
  readonly lostOf: Drop['of'];
  /** Metric of the reference; null without labels. */
  readonly metric: number | null;
  readonly rows: readonly ComparedModel[];
  readonly warnings: readonly string[];
}

/**
 * Times models in turns and compares each with the reference on the same samples. Throws USAGE for sources that are no
 * .onnx or .tflite files, and what `bench` and `verify` throw.
 */
export async function compare(options: CompareOptions): Promise<CompareResult> {
  const { models, against, data, samples, task, vocab, sequenceLength, runs, threads, signal, progress } = options;
  const { text, pair, label } = options;
  // Every model reads the same samples, of which is told once.
  const told = new Set<string>();
  const note = (words: string) => {
    if (!told.has(words)) options.note?.(words);
    told.add(words);
  };
  for (const model of models) {
    if (/\.(onnx|tflite)$/i.test(model)) continue;
    throw new MbertError('USAGE', `${model}: is no .onnx or .tflite file`, {
      hint: 'write it with mbert convert or quantize first; the reference (--against) may be of any format',
    });
  }
  const lengths = sequenceLength === undefined ? await fixedLengths(models) : [];
  // Answers are compared at one padding, or columns would stand beside each other that are of other inputs.
  const length = lengths.length === 1 ? lengths[0] : sequenceLength;
  const results: VerifyResult[] = [];
  for (const [i, model] of models.entries()) {
    const step = (what: string, done?: number, total?: number) =>
      progress?.(`model ${i + 1} of ${models.length}: ${what}`, done, total);
    results.push(
      await verify({
        model,
        against,
        ...{ data, samples, text, pair, label },
        ...{ task, vocab, sequenceLength: length, signal, note, progress: step },
      }),
    );
  }
  const timed = await bench({ models, task, sequenceLength, runs, threads, memory: false, signal, progress });
  const rows = timed.rows.map((row, i) => rowOf(row, results[i] as VerifyResult, timed.measure));
  const first = results[0] as VerifyResult;
  const { processor, measure } = timed;
  return {
    processor,
    threads: timed.threads,
    runs: timed.runs,
    measure,
    against,
    task: first.task,
    inputs: first.inputs,
    lostOf: (first.drop as Drop).of,
    metric: first.metrics?.against?.[first.metrics.primary] ?? null,
    rows: rows.map((row) => ({ ...row, isOnFront: onFront(row, rows) })),
    warnings: [
      ...new Set([...results.flatMap(({ warnings }) => warnings), ...paddingWarnings(lengths), ...timed.warnings]),
    ],
  };
}

/** The numbers of tokens that models are fixed to, each once. */
async function fixedLengths(models: readonly string[]): Promise<number[]> {
  const lengths = new Set<number>();
  for (const path of models) {
    const model = await openModel(path, { raise: false });
    const length = model.reference().inputs[0]?.type.shape.at(-1);
    model.close();
    if (typeof length === 'number') lengths.add(length);
  }
  return [...lengths];
}

function paddingWarnings(lengths: readonly number[]): string[] {
  if (lengths.length < 2) return [];
  return [
    `models are fixed to ${listNames(lengths.map(String))} tokens: each is compared with the reference at its own length, so their metrics are of other inputs`,
  ];
}

function rowOf(row: BenchRow, result: VerifyResult, measure: BenchResult['measure']): ComparedModel {
  const { outputs, agreement, metrics, drop, flips, failures } = result;
  const sqnr = outputs.map(({ sqnrDb }) => sqnrDb).filter((value) => value !== null);
  return {
    model: row.model,
    format: row.format,
    runtime: row.runtime,
    bytes: row.bytes,
    ms: (measure === 'cpu' ? row.cpuMs : row.wallMs).median,
    speed: row.ratio,
    sqnrDb: sqnr.length === 0 ? null : Math.min(...sqnr),
    agreement,
    metric: metrics?.model[metrics.primary] ?? null,
    lost: (drop as Drop).points,
    changed: flips?.count ?? null,
    isOnFront: false,
    failures,
  };
}
