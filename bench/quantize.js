// What quantization costs and brings on labelled sentences, in the real runtimes, against our own f32 file of the same format:
//   node bench/quantize.js TRAIN.txt DEV.tsv MODEL_FOLDER... [--forms onnx:int8,onnx:dynamic,tflite:int8,tflite:dynamic]
//     [--sequence-length 64] [--passes LIST] [--no-scan] [--unpadded]
// A form may go on with a granularity, a rounding, bias and a target: onnx:w4:channel:gptq, onnx:int8:bias, onnx:w4:ort.
// Calibration: the first 128 lines of TRAIN; the next 32 judge roundings, up to 256 more are the command's own proof. --unpadded runs dynamic ONNX files on sentences as long as they are.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { convert, encodeSample, openTokenizer, quantize, readF32, readSamples, runtimeFor } from '../dist/index.js';
import { median, table } from './table.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    forms: { type: 'string', default: 'onnx:int8,onnx:dynamic,tflite:int8,tflite:dynamic' },
    'sequence-length': { type: 'string', default: '64' },
    passes: { type: 'string' },
    'no-scan': { type: 'boolean', default: false },
    unpadded: { type: 'boolean', default: false },
  },
});
const [train, dev, ...models] = positionals;
if (train === undefined || dev === undefined || models.length === 0) {
  throw new Error('usage: node bench/quantize.js TRAIN.txt DEV.tsv MODEL_FOLDER... [--forms FORMAT:SCHEME,...]');
}
/** What a form says behind its scheme. @type {(words: readonly string[]) => Partial<import('../dist/index.js').QuantizeOptions>} */
function optionsOf(words) {
  const granularity = /** @type {const} */ (['tensor', 'channel', 'block']).find((each) => words.includes(each));
  const rounding = /** @type {const} */ (['nearest', 'gptq']).find((each) => words.includes(each));
  const target = words.includes('ort') ? 'ort' : undefined;
  return { granularity, rounding, biasCorrection: words.includes('bias'), target };
}

const length = values.unpadded ? undefined : Number(values['sequence-length']);
const samples = readSamples(dev);
const labels = samples.map(({ label }) => Number(label));
const CLASSES = 2;
/** @typedef {{ path: string; size: number; logits: Float32Array; times: number[] }} Measured */

/** One sentence after the other, each with every file: a machine that slows down slows all of them. */
async function measure(/** @type {readonly string[]} */ paths, /** @type {string} */ model) {
  const tokenizer = openTokenizer(model);
  const sessions = await Promise.all(paths.map((path) => runtimeFor(path).load(path, { threads: 1 })));
  const found = paths.map((path) => ({
    path,
    size: statSync(path).size,
    logits: new Float32Array(samples.length * CLASSES),
    times: /** @type {number[]} */ ([]),
  }));
  for (const [i, sample] of samples.entries()) {
    const feeds = encodeSample(sample, tokenizer, { dtype: 'i32', ...(length !== undefined && { length }) });
    for (const [n, session] of sessions.entries()) {
      const wanted = new Map([...feeds].filter(([name]) => session.inputs.some((input) => input.name === name)));
      const start = process.cpuUsage();
      const outputs = await session.run(wanted);
      const { user, system } = process.cpuUsage(start);
      const [logits] = outputs.values();
      if (logits === undefined) throw new Error(`${paths[n]} has no output`);
      found[n]?.logits.set(readF32(logits), i * CLASSES);
      found[n]?.times.push((user + system) / 1000);
    }
  }
  for (const session of sessions) await session.close();
  return found;
}

/** @type {(reference: Float32Array, actual: Float32Array) => number} */
function sqnr(reference, actual) {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < reference.length; i++) {
    const value = reference[i] ?? 0;
    signal += value ** 2;
    noise += (value - (actual[i] ?? 0)) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

const answersOf = (/** @type {Float32Array} */ logits) =>
  labels.map((_, i) => ((logits[i * CLASSES + 1] ?? 0) > (logits[i * CLASSES] ?? 0) ? 1 : 0));
const shareOf = (/** @type {readonly boolean[]} */ hits) => (100 * hits.filter(Boolean).length) / hits.length;

// Passes that change the function change the reference, too: what is measured is what integers cost.
const changes = /-to-|split-/.test(values.passes ?? '') ? { passes: values.passes ?? '', calibrate: train } : {};
const rows = [];
for (const model of models) {
  for (const format of /** @type {const} */ (['onnx', 'tflite'])) {
    const schemes = values.forms
      .split(',')
      .flatMap((form) => (form.startsWith(`${format}:`) ? [form.slice(format.length + 1)] : []));
    if (schemes.length === 0) continue;
    const folder = mkdtempSync(join(tmpdir(), 'mbert-quantize-'));
    try {
      const shapes = length === undefined ? {} : { sequenceLength: length };
      const float = join(folder, `f32.${format}`);
      await convert({ source: model, output: float, ...shapes, ...changes });
      const paths = [float];
      const seconds = [0];
      const forms = ['f32'];
      for (const form of schemes) {
        const [scheme, ...words] = /** @type {[import('../dist/index.js').QuantizeOptions['scheme'], ...string[]]} */ (
          form.split(':')
        );
        const path = join(folder, `${[scheme, ...words].join(' ')}.${format}`);
        const start = performance.now();
        const { results } = await quantize({
          source: model,
          output: path,
          scheme,
          calibrate: train,
          ...optionsOf(words),
          ...shapes,
          scan: !values['no-scan'],
          ...(values.passes !== undefined && { passes: values.passes }),
        });
        seconds.push((performance.now() - start) / 1000);
        paths.push(path);
        const linears = Object.entries(results[0]?.linears ?? {}).map(([how, count]) => `${count} ${how}`);
        const { rounding, biasCorrection } = results[0] ?? {};
        if (rounding)
          linears.push(`${rounding.used} (${rounding.gptqDb.toFixed(1)}, nearest ${rounding.nearestDb.toFixed(1)})`);
        if (biasCorrection) {
          const { used, correctedDb, plainDb } = biasCorrection;
          linears.push(
            `biases ${used ? 'corrected' : 'left'} (${correctedDb.toFixed(1)}, as they were ${plainDb.toFixed(1)})`,
          );
        }
        forms.push(linears.join(', '));
      }
      const measured = await measure(paths, model);
      const [reference] = measured;
      if (reference === undefined) throw new Error('nothing was measured');
      const expected = answersOf(reference.logits);
      for (const [n, { path, size, logits, times }] of measured.entries()) {
        const answers = answersOf(logits);
        rows.push([
          basename(model),
          `${format} ${basename(path).replace(`.${format}`, '')}`,
          n === 0 ? '' : sqnr(reference.logits, logits).toFixed(1),
          shareOf(answers.map((answer, i) => answer === expected[i])).toFixed(2),
          shareOf(answers.map((answer, i) => answer === labels[i])).toFixed(2),
          (size / 1e6).toFixed(1),
          ((100 * size) / reference.size).toFixed(1),
          (median(reference.times) / median(times)).toFixed(2),
          seconds[n]?.toFixed(0) ?? '',
          forms[n] ?? '',
        ]);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
const heading = ['model', 'file', 'dB', 'agree %', 'right %', 'MB', '% of f32', 'x f32', 's', 'linears'];
console.log(table([heading, ...rows]));
