// The main job on the model in fixtures/: convert it to both formats, quantize it, put NoNorm and ReLU in the place of LayerNorm
// and GELU, run all files on 200 labelled sentences in the real runtimes, and print what came out. Nothing below is a stored number.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convert, encodeSample, openTokenizer, quantize, readF32, readSamples, runtimeFor } from '../dist/index.js';
import { median, table } from './table.js';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const model = join(fixtures, 'mobilebert-demo');
/** Unlabelled sentences: the first 128 calibrate, the first so many are fitted to, the rest check. */
const calibration = join(model, 'sst2-train-256.txt');
const FITTED_TO = 192;
const SEQUENCE_LENGTH = 64;

const say = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);
const folder = mkdtempSync(join(tmpdir(), 'mbert-demo-'));
try {
  say(`Converting and quantizing a trained 4-layer MobileBERT (LayerNorm, GELU) for ${SEQUENCE_LENGTH} tokens …`);
  /** @type {{ target: string; what: string; path: string; size: number }[]} */
  const files = [];
  for (const target of ['onnx', 'tflite']) {
    for (const form of /** @type {const} */ (['f32', 'f16', 'dynamic', 'int8'])) {
      const path = join(folder, `${form}.${target}`);
      const common = { source: model, output: path, sequenceLength: SEQUENCE_LENGTH };
      say(`  ${form}.${target}`);
      if (form === 'f32' || form === 'f16') await convert({ ...common, dtype: form });
      else await quantize({ ...common, scheme: form, ...(form === 'int8' && { calibrate: calibration }) });
      files.push({ target, what: form, path, size: statSync(path).size });
    }
  }

  say('Replacing LayerNorm by NoNorm and GELU by ReLU without training …');
  const { fit } = await convert({
    source: model,
    output: `${join(folder, 'no-norm')}/`,
    sequenceLength: SEQUENCE_LENGTH,
    passes: 'layer-norm-to-no-norm,gelu-to-relu',
    calibrate: calibration,
    samples: FITTED_TO,
  });
  for (const target of ['onnx', 'tflite']) {
    const float = join(folder, 'no-norm', `model.${target}`);
    const integer = join(folder, 'no-norm', `int8.${target}`);
    say(`  NoNorm+ReLU int8.${target}`);
    const vocab = join(model, 'vocab.txt');
    await quantize({ source: float, output: integer, scheme: 'int8', calibrate: calibration, vocab });
    files.push({ target, what: 'NoNorm+ReLU, f32', path: float, size: statSync(float).size });
    files.push({ target, what: 'NoNorm+ReLU, int8', path: integer, size: statSync(integer).size });
  }
  files.sort((a, b) => Number(a.target !== 'onnx') - Number(b.target !== 'onnx'));

  const tokenizer = openTokenizer(model);
  const samples = readSamples(join(model, 'sst2-dev-200.tsv'));
  say(`Classifying ${samples.length} labelled sentences with each file …`);
  const sessions = await Promise.all(files.map(({ path }) => runtimeFor(path).load(path, { threads: 1 })));
  const labels = samples.map(({ label }) => Number(label));
  /** @type {number[][]} */
  const answers = files.map(() => []);
  /** @type {number[][]} */
  const times = files.map(() => []);
  for (const sample of samples) {
    const feeds = encodeSample(sample, tokenizer, { dtype: 'i32', length: SEQUENCE_LENGTH });
    // One file after the other on each sentence: a machine that slows down slows all of them.
    for (const [i, session] of sessions.entries()) {
      const start = performance.now();
      const outputs = await session.run(feeds);
      times[i]?.push(performance.now() - start);
      const logits = outputs.get('logits');
      if (logits === undefined) throw new Error(`${files[i]?.path} has no output logits`);
      const [negative = 0, positive = 0] = readF32(logits);
      answers[i]?.push(positive > negative ? 1 : 0);
    }
  }
  for (const session of sessions) await session.close();

  const rows = files.map(({ target, what, size }, i) => {
    const baseline = files.findIndex((file) => file.target === target);
    const agree = answers[i]?.filter((answer, n) => answer === answers[0]?.[n]).length ?? 0;
    const correct = answers[i]?.filter((answer, n) => answer === labels[n]).length ?? 0;
    return [
      `${target === 'onnx' ? 'ONNX' : 'TFLite'}, ${what}`,
      target === 'onnx' ? 'ONNX Runtime' : 'LiteRT (wasm)',
      (size / 1e6).toFixed(1),
      (median(times[i] ?? []) / median(times[baseline] ?? [])).toFixed(2),
      ((100 * correct) / samples.length).toFixed(1),
      ((100 * agree) / samples.length).toFixed(1),
    ];
  });
  const heading = ['file', 'runtime', 'MB', 'time', 'accuracy %', 'agreement %'];
  console.log(`\n${table([heading, ...rows])}`);
  console.log('time: median per sentence, relative to the first file of that runtime, same run, 1 thread');
  console.log('agreement: same answer as the f32 ONNX file, which --verify compares with the source');
  console.log(
    `NoNorm+ReLU: ${fit?.passes.map(({ name, rewrites }) => `${name} ${rewrites}`).join(', ')}, fitted to ${FITTED_TO} sentences; ` +
      `on the ${fit?.heldOut?.samples} others it gives the original's answer for ${(100 * (fit?.heldOut?.agreement ?? 0)).toFixed(1)} %`,
  );
  console.log("f16 in LiteRT's WebAssembly build unpacks its weights at every run; the native runtime does so once");

  const noNorm = await convert({ source: join(fixtures, 'hf-qa'), output: join(folder, 'no-norm.onnx'), verify: true });
  const [result] = noNorm.results;
  const folded = result?.passes.find(({ name }) => name === 'fold-no-norm')?.rewrites;
  const error = Math.max(...(result?.verify?.outputs.map(({ maxAbsError }) => maxAbsError) ?? []));
  console.log(
    `\nA NoNorm MobileBERT (3 layers): ${folded} norms folded away, ${result?.nodesBefore} nodes -> ${result?.nodesAfter}, ` +
      `largest error against the source ${error.toExponential(1)}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
