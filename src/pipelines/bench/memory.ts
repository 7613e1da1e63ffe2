import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MbertError } from '../../errors.ts';
import { undoAtEnd } from '../../io/undo.ts';
import { PACKAGE } from '../../version.ts';
import type { Feeds } from './feeds.ts';
import type { MemoryAnswer, MemoryRequest } from './measure-memory.ts';

/** The built program: a process of its own, as memory that a process has given back to its allocator is not counted again. */
const PROGRAM = fileURLToPath(new URL('dist/measure-memory.js', PACKAGE));

/** Peak of resident memory while a model is loaded and run once, in bytes above Node with the runtime. */
export async function peakMemoryOf(path: string, feeds: Feeds, threads: number): Promise<number> {
  const inputs = [...feeds].map(([name, { dtype, shape, bytes }]) => {
    return { name, dtype, shape, base64: Buffer.from(bytes()).toString('base64') };
  });
  const request: MemoryRequest = { path, threads, feeds: inputs };
  const { before, peak } = JSON.parse(await runChild(JSON.stringify(request), path)) as MemoryAnswer;
  return Math.max(0, peak - before);
}

function runChild(input: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM], { stdio: 'pipe' });
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
