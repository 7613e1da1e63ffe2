import { spawn } from 'node:child_process';
import { MbertError } from '../../errors.ts';
import { undoAtEnd } from '../../io/undo.ts';
import { PACKAGE } from '../../version.ts';
import type { Feeds } from './feeds.ts';

/** The built library. */
const LIBRARY = new URL('dist/index.js', PACKAGE);

/**
 * Script of the process that measures one model, as memory that a process has given back to its allocator is not
 * counted again. It imports the runtime, takes that for zero, loads the model, runs it and prints the peak.
 */
const CHILD = `
import { existsSync, readFileSync } from 'node:fs';
import { runtimeFor } from ${JSON.stringify(LIBRARY.href)};
let text = '';
for await (const part of process.stdin) text += part;
const { path, threads, feeds } = JSON.parse(text);
const runtime = runtimeFor(path);
await runtime.version();
const before = process.memoryUsage.rss();
const session = await runtime.load(path, { threads });
const tensors = feeds.map(({ name, dtype, shape, base64 }) => {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
  return [name, { dtype, shape, bytes: () => bytes }];
});
await session.run(new Map(tensors));
// Linux counts what the parent had before exec into maxRSS; its high-water mark does not.
const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
const peak = Number(/^VmHWM:\\s*(\\d+) kB/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS) * 1024;
await session.close();
process.stdout.write(JSON.stringify({ before, peak }));
`;

/** Peak of resident memory while a model is loaded and run once, in bytes above Node with the runtime. */
export async function peakMemoryOf(path: string, feeds: Feeds, threads: number): Promise<number> {
  const inputs = [...feeds].map(([name, { dtype, shape, bytes }]) => {
    return { name, dtype, shape, base64: Buffer.from(bytes()).toString('base64') };
  });
  const out = await runChild(JSON.stringify({ path, threads, feeds: inputs }), path);
  const { before, peak } = JSON.parse(out) as { before: number; peak: number };
  return Math.max(0, peak - before);
}

function runChild(input: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], { stdio: 'pipe' });
    const entry = undoAtEnd(() => child.kill());
    const out: string[] = [];
    const err: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => err.push(text));
    child.stdin.on('error', reject);
    child.on('error', reject);
    child.on('close', (code) => {
      entry.forget();
      if (code === 0) resolve(out.join(''));
      else
        reject(
          new MbertError(
            'UNSUPPORTED',
            `${path}: memory: a process of its own ended with ${code}: ${err.join('').trim()}`,
          ),
        );
    });
    child.stdin.end(input);
  });
}
