import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { DType, Tensor } from '../../ir/tensor.ts';
import { runtimeFor } from '../../runtimes/index.ts';

/** A request to measure the memory of one model, as the measuring process reads it: JSON on stdin. */
export interface MemoryRequest {
  readonly path: string;
  readonly threads: number;
  readonly feeds: readonly {
    readonly name: string;
    readonly dtype: DType;
    readonly shape: readonly number[];
    readonly base64: string;
  }[];
}

/** What it answers on its stdout: bytes of resident memory with the runtime alone, and at the peak. */
export interface MemoryAnswer {
  readonly before: number;
  readonly peak: number;
}

const { path, threads, feeds } = JSON.parse(await text(process.stdin)) as MemoryRequest;
const runtime = runtimeFor(path);
await runtime.version();
const before = process.memoryUsage.rss();
const session = await runtime.load(path, { threads });
await session.run(new Map(feeds.map((feed) => [feed.name, tensorOf(feed)])));
const answer: MemoryAnswer = { before, peak: peakBytes() };
await session.close();
process.stdout.write(JSON.stringify(answer));

function tensorOf({ dtype, shape, base64 }: MemoryRequest['feeds'][number]): Tensor {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  return { dtype, shape, bytes: () => bytes };
}

/** Linux counts what the parent had before exec into maxRSS; its high-water mark does not. */
function peakBytes(): number {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS) * 1024;
}
