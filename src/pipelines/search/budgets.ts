import { MbertError } from '../../errors.ts';
import { refuseFile } from '../write/plans.ts';
import type { Budget, SearchOptions } from './types.ts';

/** Throws USAGE for options that contradict each other, and where one is missing. */
export function refuseOptions(options: SearchOptions): void {
  const { output, calibrate, budgets, latencyRatios, shard, merge, forms, fileFormat } = options;
  refuseFile(output, 'search writes');
  if (calibrate === undefined) {
    throw new MbertError('USAGE', 'search: needs --calibrate FILE', {
      hint: 'some hundred lines of text as the model will see it, without labels',
    });
  }
  if (budgets !== undefined && latencyRatios !== undefined)
    throw new MbertError('USAGE', '--budgets and --latency-ratio: one search has one kind of budget', {
      hint: 'run it twice with one --output: the scores are there the second time',
    });
  if (shard !== undefined && merge)
    throw new MbertError('USAGE', '--shard: scores a part, and --merge takes the scores of all parts');
  if (shard === undefined && budgets === undefined && latencyRatios === undefined) {
    throw new MbertError('USAGE', 'search: within what? --budgets or --latency-ratio', {
      hint: '--budgets 8MB,12MB are sizes of files; --latency-ratio 0.3,0.5 are shares of the time of a run',
    });
  }
  if (latencyRatios && fileFormat === 'tflite') {
    throw new MbertError('USAGE', '--latency-ratio: times are measured in ONNX Runtime, the files are tflite', {
      hint: 'search with --file-format onnx, or give --budgets',
    });
  }
  if (latencyRatios && forms?.includes('mixed')) {
    throw new MbertError('USAGE', '--forms mixed: is for --budgets', {
      hint: 'what bits save is known in bytes; for a share of the time take dynamic, int8 or w4',
    });
  }
}

/** Steps of 1 in which shares of time are told apart: finer ones cannot be measured, and models are named by them. */
const RATIO_STEPS = 10_000;

/**
 * Lists the budgets, the largest first, each once. Throws USAGE where there is none, and where a number of them cannot be
 * spread.
 */
export function budgetsOf({ budgets, latencyRatios, count, shard }: SearchOptions): Budget[] {
  const values = [...new Set(budgets ?? latencyRatios ?? [])].sort((a, b) => b - a);
  if (values.length === 0 && shard === undefined) throw new MbertError('USAGE', 'search: the list of budgets is empty');
  const spread = count === undefined ? values : spreadOver(values, count, budgets !== undefined);
  const steps = spread.map((value) =>
    budgets !== undefined ? value : Math.max(1, Math.round(value * RATIO_STEPS)) / RATIO_STEPS,
  );
  return [...new Set(steps)].map((value) =>
    budgets !== undefined ? { kind: 'size', bytes: value } : { kind: 'latency', ratio: value },
  );
}

function spreadOver(values: readonly number[], count: number, isWhole: boolean): number[] {
  const [most, least] = [values[0], values.at(-1)];
  if (most === undefined || least === undefined || values.length < 2 || count < 2) {
    throw new MbertError('USAGE', `--count ${count}: spreads budgets between two that are given`, {
      hint: '--budgets 4MB,12MB --count 5 are 12, 10, 8, 6 and 4 MB',
    });
  }
  return Array.from({ length: count }, (_, i) => {
    const value = most + ((least - most) * i) / (count - 1);
    return isWhole ? Math.floor(value) : value;
  });
}
