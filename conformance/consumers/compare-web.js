// ONNX files of an encoder in Chromium (onnxruntime-web, WebAssembly) and in Node (onnxruntime-node): how far each is
// from the first file, whether both runtimes compute the same, and the fastest of runs in turns:
//   npm run web -- --tokenizer FOLDER --texts TEXTS [--runs 40] [--threads 1] f32.onnx dynamic.onnx ...
import { cpSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import * as node from 'onnxruntime-node';
import { table } from '../../bench/table.js';
import { encodeSample, openTokenizer, readSamples } from '../../dist/index.js';
import { cosine } from './answers.js';
import { openBrowser } from './page.js';
import { at, HERE } from './workspace.js';

const { values, positionals } = parseArgs({
  options: {
    tokenizer: { type: 'string' },
    texts: { type: 'string' },
    runs: { type: 'string', default: '0' },
    threads: { type: 'string', default: '1' },
  },
  allowPositionals: true,
});
if (values.tokenizer === undefined || values.texts === undefined || positionals.length < 2)
  throw new Error('usage: npm run web -- --tokenizer FOLDER --texts TEXTS [--runs N] [--threads N] REFERENCE FILE ...');

/** Lengths that are timed, in tokens. */
const LENGTHS = [32, 128];
const WARM_UP = 3;
const threads = Number(values.threads);
const tokenizer = openTokenizer(values.tokenizer);
const samples = readSamples(values.texts);

/** Token ids and the rest of a sample as plain numbers, which a page can be given. */
function tokens(sample, length) {
  const all = encodeSample(sample, tokenizer, { dtype: 'i64', ...(length && { length }) });
  return [...all].map(([name, { bytes }]) => {
    const given = bytes();
    return [name, [...new BigInt64Array(given.buffer, given.byteOffset, given.byteLength / 8)].map(Number)];
  });
}

// One body for both: `ort` is the only thing that differs. A page gets it as text.
/** Opens files; `states` gives the hidden states of one text, `times` the times of runs in turns, in milliseconds. */
async function opened(ort, files, options) {
  const sessions = [];
  for (const file of files) sessions.push(await ort.InferenceSession.create(file, options));
  const run = async (session, rows) => {
    const feeds = Object.fromEntries(
      rows
        .filter(([name]) => session.inputNames.includes(name))
        .map(([name, ids]) => [name, new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length])]),
    );
    const outputs = await session.run(feeds);
    return outputs.last_hidden_state ?? Object.values(outputs)[0];
  };
  return {
    /** For each text and file the mean of its hidden states, and for each file the powers of signal and noise. */
    async compare(texts) {
      const powers = files.map(() => ({ signal: 0, noise: 0 }));
      const vectors = [];
      for (const rows of texts) {
        let wanted;
        const means = [];
        for (const [at, session] of sessions.entries()) {
          const { data, dims } = await run(session, rows);
          wanted ??= data;
          const width = dims.at(-1);
          const sums = new Array(width).fill(0);
          for (let i = 0; i < data.length; i++) {
            powers[at].signal += wanted[i] ** 2;
            powers[at].noise += (data[i] - wanted[i]) ** 2;
            sums[i % width] += data[i];
          }
          means.push(sums);
        }
        vectors.push(means);
      }
      return { powers, vectors };
    },
    async times(rows, runs, warmUp) {
      const times = sessions.map(() => []);
      for (let i = 0; i < runs + warmUp; i++) {
        for (const [at, session] of sessions.entries()) {
          const before = performance.now();
          await run(session, rows);
          if (i >= warmUp) times[at].push(performance.now() - before);
        }
      }
      return times;
    },
  };
}

const names = positionals.map((path) => basename(path));
for (const path of positionals) cpSync(path, at(basename(path)));
const browser = await openBrowser([at(), HERE], { isolated: true });
const { page, failed } = await browser.page();
const inPage = (call, ...given) => Promise.race([page.evaluate(call, ...given), failed]);
const isolated = await inPage(
  async ({ names, threads, body }) => {
    const ort = await import('/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs');
    ort.env.wasm.numThreads = threads;
    globalThis.models = await new Function(`return ${body}`)()(
      ort,
      names.map((name) => `/${name}`),
      { executionProviders: ['wasm'] },
    );
    return crossOriginIsolated;
  },
  { names, threads, body: String(opened) },
);
if (threads > 1 && !isolated) throw new Error('the page is not cross-origin isolated, so it has one thread');
const here = await opened(node, positionals, { intraOpNumThreads: threads, logSeverityLevel: 4 });

const texts = samples.map((sample) => tokens(sample));
const web = await inPage((texts) => globalThis.models.compare(texts), texts);
const own = await here.compare(texts);

const long = samples.slice(0, 20).map(({ texts: [first] }) => first);
const times = [];
for (const length of Number(values.runs) > 0 ? LENGTHS : []) {
  const rows = tokens({ texts: [long.join(' ')] }, length);
  const inNode = await here.times(rows, Number(values.runs), WARM_UP);
  const given = { rows, runs: Number(values.runs), warmUp: WARM_UP };
  const onPage = await inPage(({ rows, runs, warmUp }) => globalThis.models.times(rows, runs, warmUp), given);
  for (const [runtime, found] of [
    ['node', inNode],
    ['web', onPage],
  ])
    times.push([`${runtime}, ${length} tokens`, found.map((each) => Math.min(...each))]);
}
await browser.close();

const decibels = ({ signal, noise }) => `${(10 * Math.log10(signal / noise)).toFixed(2)} dB`;
const worst = (vectors, others, file, other = file) =>
  Math.min(...vectors.map((means, i) => cosine(means[file], others[i][other]))).toFixed(6);
console.log(
  table([
    ['file', 'node', 'web', 'worst cosine, web', 'web to node', ...times.map(([name]) => name)],
    ...names.map((name, at) => [
      name,
      decibels(own.powers[at]),
      decibels(web.powers[at]),
      worst(web.vectors, web.vectors, 0, at),
      worst(web.vectors, own.vectors, at),
      ...times.map(([, found]) => (at === 0 ? `${found[0].toFixed(1)} ms` : (found[0] / found[at]).toFixed(2))),
    ]),
  ]),
);
