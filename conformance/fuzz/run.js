// Fuzzes the built package, a family of formats after the other: node conformance/fuzz/run.js [--family a,b] [--seconds n] [--seed s] [--from n] [--count n] [--sound]
import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FAMILIES } from './families.js';

/** Where inputs that broke something are kept. */
const KEPT = fileURLToPath(new URL('../../.tmp/fuzz', import.meta.url));
/** Time after which an input hangs: four times what it may compute, as the machine has other work. */
const HANG_MS = 20_000;
/** Above it a process is ended before it harms the machine. */
const END_BYTES = 1.5e9;
/** Inputs that one process runs: a crash that needs its predecessors stays findable. */
const INPUTS_PER_PROCESS = 3_000;

/** @typedef {{ kind: string, text: string }} Found */
/** @typedef {{ n: number, code: number, cpuMs: number, peakBytes: number, found?: Found, line: string, name: string }} Ended */

const { values } = parseArgs({
  options: {
    family: { type: 'string', default: Object.keys(FAMILIES).join(',') },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    count: { type: 'string', default: 'Infinity' },
    sound: { type: 'boolean', default: false },
  },
});

let total = 0;
for (const family of values.family.split(',')) {
  if (!Object.hasOwn(FAMILIES, family))
    throw new Error(`--family: ${family} is none of ${Object.keys(FAMILIES).join(', ')}`);
  total += await fuzz(family);
}
process.exitCode = total === 0 ? 0 : 1;

/** Fuzzes one family and prints what was found, a line of JSON each, and a row: inputs, seconds, exit codes, the slowest, the largest, kinds found. @param {string} family */
async function fuzz(family) {
  const start = Date.now();
  const end = start + 1000 * Number(values.seconds);
  const codes = new Map();
  /** @type {Map<string, number>} */
  const kinds = new Map();
  let process_ = startProcess(family);
  let inputs = 0;
  let slowestMs = 0;
  let mostBytes = 0;
  for (let n = Number(values.from); inputs < Number(values.count) && Date.now() < end; n++, inputs++) {
    if (inputs % INPUTS_PER_PROCESS === INPUTS_PER_PROCESS - 1) process_ = await restarted(process_, family);
    let ended = await process_.run(n);
    if (ended.found) {
      // What was found must come back in a process that has done nothing else.
      process_ = await restarted(process_, family);
      ended = await process_.run(n);
      if (ended.found) report(family, ended, kinds, process_.root);
      process_ = await restarted(process_, family);
    }
    codes.set(ended.code, (codes.get(ended.code) ?? 0) + 1);
    slowestMs = Math.max(slowestMs, ended.cpuMs);
    mostBytes = Math.max(mostBytes, ended.peakBytes);
  }
  await process_.stop();
  const exits = [...codes].sort(([a], [b]) => a - b).map(([code, count]) => `${count} x ${code}`);
  const seconds = Math.round((Date.now() - start) / 1000);
  const worst = `${(slowestMs / 1000).toFixed(1)} s | ${Math.round(mostBytes / 1e6)} MB`;
  console.log(`| ${family} | ${inputs} | ${seconds} | ${exits.join(', ')} | ${worst} | ${kinds.size} |`);
  return kinds.size;
}

/** Prints the first of each kind and keeps its files. @param {string} family @param {Ended} ended @param {Map<string, number>} kinds @param {string} root */
function report(family, { n, found, line, name }, kinds, root) {
  const { kind, text } = /** @type {Found} */ (found);
  // Two crashes are of one kind where they come from one place.
  const frames = [...text.matchAll(/at (?:async )?([\w$.#<> ]+) \(/g)].slice(0, 2).map(([, frame]) => frame);
  const key = `${kind} ${frames.length > 0 ? frames.join(' < ') : text.replaceAll(/\d+/g, '0').slice(0, 60)}`;
  kinds.set(key, (kinds.get(key) ?? 0) + 1);
  if (kinds.get(key) !== 1) return;
  const folder = join(KEPT, `${family}-${values.seed}-${n}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (existsSync(join(root, 'source'))) cpSync(join(root, 'source'), folder, { recursive: true });
  console.log(JSON.stringify({ family, seed: values.seed, n, kind, line, name, text, kept: folder }));
}

/** @param {ReturnType<typeof startProcess>} running @param {string} family */
async function restarted(running, family) {
  await running.stop();
  return startProcess(family);
}

/** A process that runs inputs, ended where it takes too long or too much. @param {string} family */
function startProcess(family) {
  const root = mkdtempSync(join(tmpdir(), 'mbert-fuzz-'));
  for (const name of ['home', 'tmp']) mkdirSync(join(root, name));
  let child = start();
  let errors = '';

  function start() {
    const started = fork(fileURLToPath(new URL('worker.js', import.meta.url)), [family, values.seed, root], {
      execArgv: ['--expose-gc'],
      env: { ...process.env, HOME: join(root, 'home'), TMPDIR: join(root, 'tmp') },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    started.stderr?.on('data', (chunk) => {
      errors = (errors + chunk).slice(-3000);
    });
    return started;
  }

  return {
    root,
    /** @param {number} n @returns {Promise<Ended>} */
    run(n) {
      return new Promise((done) => {
        let why = '';
        const finish = (/** @type {Ended} */ ended) => {
          clearTimeout(late);
          clearInterval(watch);
          child.removeAllListeners();
          done(ended);
        };
        const stop = (/** @type {string} */ kind) => {
          why = kind;
          child.kill('SIGKILL');
        };
        const late = setTimeout(() => stop('hang'), HANG_MS);
        const watch = setInterval(() => residentBytes(child.pid) > END_BYTES && stop('memory'), 200);
        child.on('message', (/** @type {Ended & { ready?: true }} */ message) => message.ready || finish(message));
        child.on('exit', (code, signal) => {
          const found = { kind: why || 'crash', text: `${why} ${code ?? signal} ${errors}` };
          child = start();
          finish({ n, code: -1, cpuMs: 0, peakBytes: 0, found, line: '', name: '' });
        });
        child.send({ n, isSound: values.sound });
      });
    },
    stop() {
      return new Promise((done) => {
        child.removeAllListeners();
        child.on('exit', () => {
          rmSync(root, { recursive: true, force: true });
          done(undefined);
        });
        child.kill('SIGKILL');
      });
    },
  };
}

/** @param {number | undefined} pid */
function residentBytes(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
