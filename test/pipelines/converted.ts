import { statSync } from 'node:fs';
import { join } from 'node:path';
import { convertTensor, readF32, type Tensor } from '../../src/ir/tensor.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { runtimeFor } from '../../src/runtimes/index.ts';
import type { RuntimeSession } from '../../src/runtimes/runtime.ts';
import { row } from '../runtimes/oracle.ts';

export type Values = ReadonlyMap<string, Tensor>;

/** A converted model that has run. */
interface Converted {
  readonly outputs: ReadonlyMap<string, Float32Array>;
  /** Bytes of the written file. */
  readonly size: number;
}

/**
 * Converts a source and runs what was written: ONNX with open sizes, TFLite with those of the feeds, as LiteRT's
 * WebAssembly build wants them. A size that the source has fixed stays.
 */
export async function runConverted(
  source: string,
  target: 'onnx' | 'tflite',
  { folder, feeds }: { readonly folder: string; readonly feeds: Values },
): Promise<Converted> {
  const output = join(folder, `out.${target}`);
  const [batch, ...rest] = (feeds.get('input_ids') ?? [...feeds.values()][0])?.shape ?? [];
  const fixed = { batch, sequenceLength: rest.at(-1), ...(rest.length > 1 && { choices: rest[0] }) };
  const sizes = target === 'onnx' ? { batch: 'dynamic' as const } : fixed;
  try {
    await convert({ source, output, ...sizes });
  } catch (cause) {
    if (!(cause instanceof Error && /is fixed to/.test(cause.message))) throw cause;
    await convert({ source, output });
  }
  return { outputs: await runFile(output, feeds), size: statSync(output).size };
}

/** All outputs of a file; one whose batch is fixed to 1 runs row by row. */
export async function runFile(path: string, feeds: Values): Promise<ReadonlyMap<string, Float32Array>> {
  const session = await runtimeFor(path).load(path, { threads: 1 });
  try {
    const given = new Map(session.inputs.map((input) => [input.name, feedOf(input, feeds)]));
    const rows = [...given.values()][0]?.shape[0] ?? 1;
    const isSplit = session.inputs[0]?.shape[0] === 1 && rows > 1;
    const runs = isSplit ? Array.from({ length: rows }, (_, i) => rowsOf(given, i)) : [given];
    const parts: Values[] = [];
    for (const run of runs) parts.push(await session.run(run));
    return joined(parts);
  } finally {
    await session.close();
  }
}

function feedOf({ name, dtype }: RuntimeSession['inputs'][number], feeds: Values): Tensor {
  const feed = feeds.get(name.replace(/:0$/, ''));
  if (feed === undefined) throw new Error(`nothing is fed to ${name}`);
  return convertTensor(feed, dtype);
}

function rowsOf(feeds: Values, i: number): Values {
  return new Map([...feeds].map(([name, feed]) => [name, row(feed, i)]));
}

function joined(parts: readonly Values[]): ReadonlyMap<string, Float32Array> {
  const names = [...(parts[0]?.keys() ?? [])];
  return new Map(
    names.map((name) => [name, Float32Array.from(parts.flatMap((part) => [...readF32(part.get(name) as Tensor)]))]),
  );
}

/** The largest difference; infinite where one has numbers that the other has not. */
export function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((most, value, i) => {
    const apart = Math.abs(value - (b[i] as number));
    return Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(most, apart);
  }, 0);
}
