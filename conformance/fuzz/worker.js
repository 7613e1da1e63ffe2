// Runs mutated inputs one after another, as run.js asks for them, and says of each what came of it.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodeSample, MbertError, openTokenizer, readSamples } from '../../dist/index.js';
import { main } from '../../dist/main.js';
import { FAMILIES } from './families.js';
import { randomOf } from './random.js';

/** What an input may take, of docs/security.md. */
const MAX_CPU_MS = 5_000;
const MAX_PEAK_BYTES = 600e6;
/** Above it memory is collected first, so that a peak is that of the input. */
const COLLECT_BYTES = 200e6;
/** One in so many written ONNX files is run, as a session takes longer than most inputs. */
const RUN_EVERY = 12;

const [, , familyName = '', seed = '1', root = ''] = process.argv;
const bases = FAMILIES[familyName]?.() ?? [];
const FOLDERS = {
  source: join(root, 'source'),
  output: join(root, 'output'),
  home: join(root, 'home'),
  tmp: join(root, 'tmp'),
};

process.on('message', async (/** @type {{ n: number, isSound: boolean }} */ { n, isSound }) => {
  process.send?.({ n, ...(await runInput(n, isSound)) });
});
process.send?.({ ready: true });

/** Runs input `n`, or for `isSound` a base as it is, which must be taken. @param {number} n @param {boolean} isSound */
async function runInput(n, isSound) {
  const random = randomOf(`${familyName} ${seed} ${n}`);
  const base = isSound ? /** @type {import('./families.js').Base} */ (bases[n % bases.length]) : random.pick(bases);
  const files = new Map(base.files());
  const name = random.pick([...files.keys()].filter((each) => base.target.test(each)));
  const good = /** @type {Buffer} */ (files.get(name));
  if (!isSound) files.set(name, base.mutate(good, random));
  // A config of the project is read from the folder that a command is run in.
  emptyFolders(files);
  process.chdir(FOLDERS.source);
  const path = base.source === undefined ? FOLDERS.source : join(FOLDERS.source, base.source);
  const line = random.pick(base.lines)({ path, folder: FOLDERS.source, output: FOLDERS.output });
  globalThis.gc && process.memoryUsage.rss() > COLLECT_BYTES && globalThis.gc();
  resetPeak();
  const before = process.cpuUsage();
  const { code, out, err } = await runLine(line);
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  const peakBytes = readPeak();
  if (isSound && code !== 0 && !base.refusal?.test(err))
    return { code, cpuMs, peakBytes, found: { kind: 'sound input', text: err }, line: line.join(' '), name };
  const found = problem({ code, out, err, line, files, cpuMs, peakBytes }) ?? (await runWritten(random, code, line));
  return { code, cpuMs, peakBytes, found, line: line.join(' '), name };
}

/** @param {Map<string, Buffer>} files */
function emptyFolders(files) {
  process.chdir(root);
  for (const folder of Object.values(FOLDERS)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(FOLDERS.source, name)), { recursive: true });
    writeFileSync(join(FOLDERS.source, name), bytes);
  }
}

/** Calls of the library that are named as if they were commands: what they read is read by a command only beside a model. @type {Readonly<Record<string, (path: string) => string>>} */
const CALLS = {
  tokenize(path) {
    const tokenizer = openTokenizer(path);
    const texts = [['Hello, world! 1234 naïve 東京'], ['', 'a'], ['x'.repeat(300)]];
    const rows = texts.map((each) =>
      encodeSample({ texts: /** @type {[string]} */ (each) }, tokenizer, { dtype: 'i32', length: 16 }),
    );
    return rows
      .flatMap((row) => [...row.values()].map((tensor) => new Int32Array(tensor.bytes().slice().buffer).join(' ')))
      .join('\n');
  },
  samples: (path) => `${readSamples(path).length} samples`,
};

/** Runs a command line as `mbert` would, or a call. @param {readonly string[]} line */
async function runLine(line) {
  let out = '';
  let err = '';
  const call = CALLS[line[0] ?? ''];
  if (call) {
    try {
      return { code: 0, out: call(line[1] ?? ''), err };
    } catch (cause) {
      if (cause instanceof MbertError) return { code: 2, out, err: cause.message };
      return { code: 70, out, err: cause instanceof Error ? `${cause.stack}` : `${cause}` };
    }
  }
  const code = await main(line, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

/**
 * What is wrong with how an input ended, if anything.
 * @param {{ code: number, out: string, err: string, line: readonly string[], files: Map<string, Buffer>, cpuMs: number, peakBytes: number }} run
 */
function problem({ code, out, err, line, files, cpuMs, peakBytes }) {
  if (code !== 0 && code !== 1 && code !== 2) return { kind: `exit ${code}`, text: err.slice(0, 3000) };
  if (cpuMs > MAX_CPU_MS) return { kind: 'slow', text: `${Math.round(cpuMs)} ms; ${err.slice(0, 500)}` };
  if (peakBytes > MAX_PEAK_BYTES)
    return { kind: 'memory', text: `${Math.round(peakBytes / 1e6)} MB; ${err.slice(0, 500)}` };
  if (code === 2 && !/^[^\n]*: /.test(err)) return { kind: 'message', text: err.slice(0, 500) };
  // A program that calls the library gets texts as they are.
  const odd = CALLS[line[0] ?? ''] ? null : /(?![\n\t])\p{Cc}/u.exec(out + err);
  if (odd) return { kind: 'control character', text: (out + err).slice(Math.max(0, odd.index - 100), odd.index + 100) };
  // The tokenizers library says `type: undefined` of a part without one.
  if (/\bundefined\b(?<!type: undefined)|\[object Object\]/.test(err))
    return { kind: 'wording', text: err.slice(0, 1000) };
  if (code === 0 && line[0] !== 'inspect' && /\bNaN\b|\bInfinity\b/.test(out))
    return { kind: 'NaN', text: out.slice(0, 1000) };
  return leftBehind(code, line, files);
}

/** @param {number} code @param {readonly string[]} line @param {Map<string, Buffer>} files */
function leftBehind(code, line, files) {
  const list = (/** @type {string} */ folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
  const places = readdirSync(root).filter((name) => !['source', 'output', 'home', 'tmp'].includes(name));
  const left = [
    ...places,
    ...list(FOLDERS.home),
    ...readdirSync(FOLDERS.tmp),
    ...(code === 2 ? readdirSync(FOLDERS.output) : []),
  ];
  if (left.length > 0) return { kind: 'left behind', text: `${left.join(' ')} of ${line.join(' ')}` };
  const sources = list(FOLDERS.source);
  const changed = [...files].find(([name, bytes]) => !readFileSync(join(FOLDERS.source, name)).equals(bytes));
  if (sources.length !== files.size || changed)
    return { kind: 'source changed', text: `${sources.join(' ')} ${changed?.[0] ?? ''}` };
  return undefined;
}

/** Runs some of the written ONNX files: what mbert writes loads, and computes numbers. @param {import('./random.js').Random} random @param {number} code @param {readonly string[]} line */
async function runWritten(random, code, line) {
  const path = join(FOLDERS.output, 'model.onnx');
  if (code !== 0 || line[0] !== 'convert' || line[3] !== path || random.below(RUN_EVERY) !== 0) return undefined;
  const { code: verified, out, err } = await runLine(['verify', path, '--against', path, '--samples', '1', '--json']);
  // Verification itself refuses inputs that are no token ids, and the like.
  const isRefused = verified === 2 && !/ONNX Runtime (refuses|cannot run) it/.test(err);
  if (isRefused || (verified === 0 && !/\bNaN\b/.test(out))) return undefined;
  return { kind: `written file: exit ${verified}`, text: (err || out).slice(0, 1500) };
}

/** Starts the kernel's measurement of this process's peak anew (Linux). */
function resetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Elsewhere the peak is that of the whole process.
  }
}

function readPeak() {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
}
