import type { BenchResult, BenchRow } from '../pipelines/bench/bench.ts';
import { size, table } from './text.ts';

const ms = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2));
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

const TOP_OPS = 8;

export function benchText(result: BenchResult): string {
  const { rows, measure, runs, warmup, threads, processor } = result;
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
    const { median, low, high } = measure === 'cpu' ? row.cpuMs : row.wallMs;
    return [
      row.model,
      row.runtime,
      row.shape.join('x'),
      size(row.bytes),
      `${row.loadMs.toFixed(0)} ms`,
      row.peakMemoryBytes === null ? '-' : size(row.peakMemoryBytes),
      ms(median),
      `${ms(low)}-${ms(high)}`,
      ms(row.wallMs.median),
      row.ratio.toFixed(2),
    ];
  });
  const clock = measure === 'cpu' ? 'process CPU time' : 'wall time';
  const notes = [
    `medians of ${runs} interleaved runs after ${warmup}, ${clock}, ${threads === 1 ? '1 thread' : `${threads} threads`}, ${processor}`,
    'speed: how many times as fast as the first; memory: peak of a process of its own, over Node and the runtime',
  ];
  const inWebAssembly = [
    ...new Set(rows.filter(({ format }) => format !== 'onnx').map(({ runtime }) => runtime.split(' ')[0])),
  ];
  if (inWebAssembly.length > 0) {
    const verb = inWebAssembly.length > 1 ? 'run' : 'runs';
    notes.push(
      `${inWebAssembly.join(' and ')} ${verb} in WebAssembly here: compare such files with each other, not with native runtimes or phones`,
    );
  }
  return [[table([heading, ...lines]), '', ...notes].join('\n'), ...rows.flatMap(profileText)].join('\n\n');
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
export function benchWarnings({ rows, warnings }: BenchResult, isProfiled: boolean): string[] {
  const slower = rows.flatMap(({ model, slower: [heading, ...reasons] }) =>
    heading === undefined ? [] : [[`${model}: ${heading}`, ...reasons.map((reason) => `  ${reason}`)].join('\n')],
  );
  const unprofiled = isProfiled ? rows.filter(({ profile }) => profile === null).map(({ model }) => model) : [];
  const profiles = unprofiled.length > 0 ? [`${unprofiled.join(', ')}: LiteRT in WebAssembly gives no profile`] : [];
  return [...warnings, ...slower, ...profiles];
}
