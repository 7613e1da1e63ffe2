// Conversion time and memory, and the speed of what comes out beside the same graph without passes, on a full-size
// MobileBERT with seeded weights: node bench/run.js [layers=24]. Peers' rows: conformance/ and docs/benchmarks.md.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runtimeFor, tensorOf } from '../dist/index.js';
import { median, table } from './table.js';

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const [layers = '24'] = process.argv.slice(2);
const SEQUENCE_LENGTH = 128;
const CONVERSIONS = 5;
const ROUNDS = 20;

/**
 * Converts in a process of its own, so that start-up counts and memory is this conversion's alone: Linux has the peak of the
 * program in VmHWM, maxRSS may be that of the parent before.
 */
const CHILD = `
  import { existsSync, readFileSync } from 'node:fs';
  import { main } from ${JSON.stringify(new URL('../dist/main.js', import.meta.url).href)};
  const code = await main(process.argv.slice(1), { out() {}, err: (text) => process.stderr.write(text), isTerminal: false });
  if (code !== 0) process.exit(code);
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  console.log(/VmHWM:\\s+(\\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS);
`;

/** @type {(source: string, output: string, ...options: string[]) => { seconds: number; megabytes: number }} */
function convertOnce(source, output, ...options) {
  rmSync(output, { force: true });
  const start = performance.now();
  const argv = [
    '--input-type=module',
    '-e',
    CHILD,
    'convert',
    source,
    '-o',
    output,
    '--sequence-length',
    `${SEQUENCE_LENGTH}`,
  ];
  const kilobytes = execFileSync(process.execPath, [...argv, ...options], { encoding: 'utf8' });
  return { seconds: (performance.now() - start) / 1000, megabytes: Number(kilobytes) / 1000 };
}

const folder = mkdtempSync(join(tmpdir(), 'mbert-bench-'));
try {
  const source = join(folder, 'checkpoint');
  execFileSync(process.execPath, [here('./make-checkpoint.js'), source, layers], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const weights = statSync(join(source, 'model.safetensors')).size / 1e6;
  console.log(`MobileBERT, ${layers} layers, ${weights.toFixed(1)} MB of weights, sequences of ${SEQUENCE_LENGTH}\n`);
  const files = ['onnx', 'tflite'].flatMap((target) => [
    { target, what: 'without passes', options: ['--passes', 'none'], path: join(folder, `raw.${target}`) },
    { target, what: 'default', options: [], path: join(folder, `default.${target}`) },
  ]);
  const conversions = files.map(({ options, path }) =>
    Array.from({ length: CONVERSIONS }, () => convertOnce(source, path, ...options)),
  );
  const ids = Int32Array.from({ length: SEQUENCE_LENGTH }, (_, i) => 1 + ((i * 7919) % 30000));
  const ones = new Int32Array(SEQUENCE_LENGTH).fill(1);
  const feeds = new Map([
    ['input_ids', tensorOf('i32', [1, SEQUENCE_LENGTH], ids)],
    ['attention_mask', tensorOf('i32', [1, SEQUENCE_LENGTH], ones)],
    ['token_type_ids', tensorOf('i32', [1, SEQUENCE_LENGTH], new Int32Array(SEQUENCE_LENGTH))],
  ]);
  const sessions = await Promise.all(files.map(({ path }) => runtimeFor(path).load(path, { threads: 1 })));
  /** @type {number[][]} */
  const times = files.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, session] of sessions.entries()) {
      const start = process.cpuUsage();
      await session.run(feeds);
      const { user, system } = process.cpuUsage(start);
      times[i]?.push((user + system) / 1000);
    }
  }
  for (const session of sessions) await session.close();
  const rows = files.map(({ target, what, path }, i) => [
    `${target}, ${what}`,
    target === 'onnx' ? 'ONNX Runtime' : 'LiteRT (wasm)',
    (statSync(path).size / 1e6).toFixed(1),
    Math.min(...(conversions[i] ?? []).map(({ seconds }) => seconds)).toFixed(2),
    Math.max(...(conversions[i] ?? []).map(({ megabytes }) => megabytes)).toFixed(0),
    median(times[i] ?? []).toFixed(1),
    (median(times[i] ?? []) / median(times[i - (i % 2)] ?? [])).toFixed(2),
  ]);
  console.log(table([['file', 'runtime', 'MB', 'convert s', 'peak MB', 'run ms', 'ratio'], ...rows]));
  console.log(
    `\nconvert: least of ${CONVERSIONS}, whole process; run: median CPU time of ${ROUNDS} interleaved runs, 1 thread`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
