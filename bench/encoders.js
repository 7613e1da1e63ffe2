// Compares an encoder's last hidden states, and their means as embeddings, with those of a reference, each text as long as
// it is, and times the files in turns on one thread:
//   node bench/encoders.js --tokenizer FOLDER --texts TEXTS [--runs 120] f32.onnx int8.onnx other.onnx ...
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeSample, openTokenizer, readF32, readSamples, runtimeFor } from '../dist/index.js';
import { EmbeddingComparison } from '../dist/metrics/embeddings.js';
import { median, table } from './table.js';

const { values, positionals } = parseArgs({
  options: { tokenizer: { type: 'string' }, texts: { type: 'string' }, runs: { type: 'string', default: '0' } },
  allowPositionals: true,
});
const [reference, ...others] = positionals;
if (values.tokenizer === undefined || values.texts === undefined || reference === undefined)
  throw new Error('usage: node bench/encoders.js --tokenizer FOLDER --texts TEXTS [--runs N] REFERENCE FILE ...');

/** Lengths that are timed, in tokens. */
const LENGTHS = [32, 128];
const WARM_UP = 3;

const tokenizer = openTokenizer(values.tokenizer);
const samples = readSamples(values.texts);

/** @typedef {(typeof samples)[number]} Sample */

/** @type {(path: string) => Promise<{ run(sample: Sample, length?: number): Promise<{ shape: readonly number[], numbers: Float32Array }>, close(): Promise<void> }>} */
async function opened(path) {
  const session = await runtimeFor(path).load(path, { threads: 1 });
  return {
    async run(sample, length) {
      const all = encodeSample(sample, tokenizer, { dtype: 'i64', ...(length && { length }) });
      const feeds = new Map([...all].filter(([name]) => session.inputs.some((input) => input.name === name)));
      const outputs = await session.run(feeds);
      const states = outputs.get('last_hidden_state') ?? [...outputs.values()][0];
      if (states === undefined) throw new Error(`${path} has no outputs`);
      return { shape: states.shape, numbers: readF32(states) };
    },
    close: () => session.close(),
  };
}

/** @type {(width: number, numbers: Float32Array) => Float32Array} */
function meanOf(width, numbers) {
  const sums = new Float32Array(width);
  for (const [i, value] of numbers.entries()) sums[i % width] = (sums[i % width] ?? 0) + value;
  return sums;
}

const float = await opened(reference);
const files = await Promise.all(others.map(opened));
const found = others.map(() => ({ noise: 0, embeddings: new EmbeddingComparison() }));
let signal = 0;
for (const sample of samples) {
  const { shape, numbers: real } = await float.run(sample);
  const width = shape.at(-1) ?? 1;
  for (const value of real) signal += value * value;
  for (const [at, each] of found.entries()) {
    const actual = (await files[at]?.run(sample))?.numbers ?? real;
    for (const [i, value] of real.entries()) each.noise += (value - (actual[i] ?? 0)) ** 2;
    each.embeddings.add(meanOf(width, real), meanOf(width, actual));
  }
}

/**
 * The CPU time of each file at a length, the reference's first.
 * @type {(length: number) => Promise<readonly number[]>}
 */
async function timed(length) {
  /** @type {Sample} */
  const text = {
    texts: [
      samples
        .slice(0, 20)
        .map(({ texts: [first] }) => first)
        .join(' '),
    ],
  };
  const timers = [float, ...files].map((file) => ({ file, times: /** @type {number[]} */ ([]) }));
  for (let i = 0; i < Number(values.runs) + WARM_UP; i++) {
    for (const { file, times } of timers) {
      const before = process.cpuUsage();
      await file.run(text, length);
      const { user, system } = process.cpuUsage(before);
      if (i >= WARM_UP) times.push(user + system);
    }
  }
  return timers.map(({ times }) => median(times));
}

const lengths = Number(values.runs) > 0 ? LENGTHS : [];
/** @type {(readonly number[])[]} */
const times = [];
for (const length of lengths) times.push(await timed(length));
console.log(
  table([
    ['file', 'SQNR', 'mean cosine', 'worst', 'nearest', 'ranks', ...lengths.map((length) => `speed at ${length}`)],
    ...found.map(({ noise, embeddings }, at) => {
      const { meanCosine, worstCosine, neighbours, similarities } = embeddings.result();
      return [
        basename(others[at] ?? ''),
        `${(10 * Math.log10(signal / noise)).toFixed(2)} dB`,
        meanCosine.toFixed(5),
        worstCosine.toFixed(4),
        `${(100 * (neighbours ?? Number.NaN)).toFixed(1)} %`,
        (similarities ?? Number.NaN).toFixed(4),
        ...times.map(([own = 0, ...theirs]) => (own / (theirs[at] ?? own)).toFixed(2)),
      ];
    }),
  ]),
);
for (const { close } of [float, ...files]) await close();
