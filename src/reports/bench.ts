import type { BenchResult, BenchRow } from '../pipelines/bench/bench.ts';
import { plural, size, table } from './text.ts';

/** Milliseconds in three digits: more are not the same in another run. */
export function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

const TOP_OPS = 8;

/** Times of a model by the clock that ratios compare. */
export function measuredTimes({ measure }: BenchResult, { cpuMs, wallMs }: BenchRow): BenchRow['cpuMs'] {
  return measure === 'cpu' ? cpuMs : wallMs;
}

export function benchText(result: BenchResult): string {
  const { rows, measure } = result;
  const heading = [
    'model',
    'runtime',
    'tokens',
    'size',
    'load',
    'memory',
    `${measure} ms`,
    '10-90 %',
    'wall ms',
    'speed',
  ];
  const lines = rows.map((row) => {
    const { median, low, high } = measuredTimes(result, row);
    return [
      row.model,
      row.runtime,
      row.shape.join('x'),
      size(row.bytes),
      `${row.loadMs.toFixed(0)} ms`,
      row.peakMemoryBytes === null ? '-' : size(row.peakMemoryBytes),
      milliseconds(median),
      `${milliseconds(low)}-${milliseconds(high)}`,
      milliseconds(row.wallMs.median),
      row.ratio.toFixed(2),
    ];
  });
  const notes = [
    ...measuredLines(result),
    'speed: how many times as fast as the first; memory: peak of a process of its own, over Node and the runtime',
    ...webAssemblyLines(rows),
  ];
  return [[table([heading, ...lines]), '', ...notes].join('\n'), ...rows.flatMap(profileText)].join('\n\n');
}

/** Says how times were measured, and on what. */
export function measuredLines({ measure, runs, warmup, threads, processor, inputs }: BenchResult): string[] {
  const clock = measure === 'cpu' ? 'process CPU time' : 'wall time';
  return [
    `medians of ${runs} interleaved runs after ${warmup}, ${clock}, ${plural(threads, 'thread')}, ${processor}`,
    'data' in inputs
      ? `run on ${plural(inputs.texts, 'text')} of ${inputs.data}`
      : `run on random tokens of seed ${inputs.seed}`,
  ];
}

/** Says which times are not those of a phone. */
export function webAssemblyLines(rows: readonly BenchRow[]): string[] {
  const names = [
    ...new Set(rows.filter(({ format }) => format !== 'onnx').map(({ runtime }) => runtime.split(' ')[0])),
  ];
  if (names.length === 0) return [];
  const verb = names.length > 1 ? 'run' : 'runs';
  return [
    `${names.join(' and ')} ${verb} in WebAssembly here: compare such files with each other, not with native runtimes or phones`,
  ];
}

function profileText({ model, profile }: BenchRow): string[] {
  if (profile === null) return [];
  const ops = profile.ops
    .slice(0, TOP_OPS)
    .map(({ op, count, ms: time, share }) => [op, `${count}`, time.toFixed(3), percent(share)]);
  const nodes = profile.nodes.map(({ name, op, ms: time, share }) => [name, op, time.toFixed(3), percent(share)]);
  return [
    `${model}: ${profile.kernelMs.toFixed(2)} ms of a run in kernels`,
    table([['op', 'nodes', 'ms', 'share'], ...ops]),
    table([['node', 'op', 'ms', 'share'], ...nodes]),
  ];
}

/** Warnings for the user: files that are slower than they should be, and why. */
export function benchWarnings({ rows, warnings }: BenchResult): string[] {
  const slower = rows.flatMap(({ model, slower: [heading, ...reasons] }) =>
    heading === undefined ? [] : [[`${model}: ${heading}`, ...reasons.map((reason) => `  ${reason}`)].join('\n')],
  );
  return [...warnings, ...slower];
}
