import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MbertError } from '../../errors.ts';
import { isObject, parseJson } from '../../formats/json.ts';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import { onnxruntime } from '../../runtimes/onnxruntime.ts';
import type { Feeds } from './feeds.ts';
import { spreadOf } from './spread.ts';

/** Time inside a run, as ONNX Runtime measures it. */
export interface Profile {
  /** Time of all kernels in one run. */
  readonly kernelMs: number;
  /** Time by op, the most expensive first. */
  readonly ops: readonly { readonly op: string; readonly count: number; readonly ms: number; readonly share: number }[];
  /** The most expensive nodes. */
  readonly nodes: readonly {
    readonly name: string;
    readonly op: string;
    readonly ms: number;
    readonly share: number;
  }[];
}

const TOP_NODES = 10;

/** Profiles a model in a session of its own, as profiling slows it down by some percent. */
export async function profileOf(path: string, feeds: readonly Feeds[], threads: number): Promise<Profile> {
  const folder = makeTemporaryFolder('profile');
  try {
    const session = await onnxruntime.load(path, { threads, profilePath: join(folder.path, 'profile') });
    for (const feed of feeds) await session.run(feed);
    await session.close();
    const [name] = readdirSync(folder.path);
    if (name === undefined) throw new MbertError('UNSUPPORTED', `${path}: ONNX Runtime wrote no profile`);
    return summarize(readFileSync(join(folder.path, name), 'utf8'), feeds.length);
  } finally {
    folder.remove();
  }
}

/** Sums up ONNX Runtime's events: each kernel of each run is one event of category Node, timed in µs. */
function summarize(json: string, runs: number): Profile {
  const events = parseJson(json, 'profile');
  const times = new Map<string, { readonly op: string; readonly us: number[] }>();
  for (const event of Array.isArray(events) ? events : []) {
    if (!isObject(event) || event.get('cat') !== 'Node') continue;
    const [name, us, args] = [event.get('name'), event.get('dur'), event.get('args')];
    if (typeof name !== 'string' || typeof us !== 'number' || !isObject(args)) continue;
    const node = /^(.*)_kernel_time$/.exec(name)?.[1];
    if (node === undefined) continue;
    const known = times.get(node);
    if (known) known.us.push(us);
    else times.set(node, { op: String(args.get('op_name')), us: [us] });
  }
  // The median, as the first runs find caches and memory cold; a node in a loop has several events a run.
  const nodes = [...times].map(([name, { op, us }]) => {
    return { name, op, ms: (spreadOf(us).median * Math.max(1, Math.round(us.length / runs))) / 1000 };
  });
  const kernelMs = nodes.reduce((sum, { ms }) => sum + ms, 0);
  const ops = new Map<string, { count: number; ms: number }>();
  for (const { op, ms } of nodes) {
    const known = ops.get(op) ?? { count: 0, ms: 0 };
    ops.set(op, { count: known.count + 1, ms: known.ms + ms });
  }
  const withShare = <T extends { readonly ms: number }>(all: readonly T[]) =>
    all.map((each) => ({ ...each, share: each.ms / kernelMs })).sort((a, b) => b.ms - a.ms);
  return {
    kernelMs,
    ops: withShare([...ops].map(([op, { count, ms }]) => ({ op, count, ms }))),
    nodes: withShare(nodes).slice(0, TOP_NODES),
  };
}
