// What replacing LayerNorm and GELU costs, on labelled sentences without padding, in ONNX Runtime:
//   node bench/no-norm.js MODEL_FOLDER CALIBRATION.txt LABELLED.tsv [samples=768] [steps of --distill]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convert, encodeSample, openTokenizer, readF32, readSamples, runtimeFor } from '../dist/index.js';
import { table } from './table.js';

const [model, calibrate, labelled, count = '768', steps] = process.argv.slice(2);
if (model === undefined || calibrate === undefined || labelled === undefined)
  throw new Error('usage: node bench/no-norm.js MODEL_FOLDER CALIBRATION.txt LABELLED.tsv [samples] [steps]');
const tokenizer = openTokenizer(model);
const sentences = readSamples(labelled);

/** @type {(path: string) => Promise<Float32Array[]>} */
async function logitsOf(path) {
  const session = await runtimeFor(path).load(path);
  const logits = [];
  for (const sentence of sentences) {
    const feeds = [...encodeSample(sentence, tokenizer, { dtype: 'i64' })];
    const known = new Map(feeds.filter(([name]) => session.inputs.some((input) => input.name === name)));
    const found = (await session.run(known)).get('logits');
    if (found === undefined) throw new Error(`${path} has no output logits`);
    logits.push(readF32(found).slice());
  }
  await session.close();
  return logits;
}

const choice = (/** @type {Float32Array} */ values) => values.indexOf(Math.max(...values));

/** @type {(original: Float32Array[], fitted: Float32Array[]) => string[]} */
function compared(original, fitted) {
  let [right, equal, signal, noise] = [0, 0, 0, 0];
  for (const [i, values] of fitted.entries()) {
    const wanted = original[i] ?? values;
    if (choice(values) === Number(sentences[i]?.label)) right++;
    if (choice(values) === choice(wanted)) equal++;
    for (const [c, value] of wanted.entries()) {
      signal += value ** 2;
      noise += (value - (values[c] ?? 0)) ** 2;
    }
  }
  const percent = (/** @type {number} */ part) => ((100 * part) / fitted.length).toFixed(2);
  return [percent(right), percent(equal), noise === 0 ? '-' : (10 * Math.log10(signal / noise)).toFixed(1)];
}

const folder = mkdtempSync(join(tmpdir(), 'mbert-no-norm-'));
try {
  const path = join(folder, 'model.onnx');
  await convert({ source: model, output: path });
  const original = await logitsOf(path);
  const rows = [['original', ...compared(original, original), '-']];
  const both = 'layer-norm-to-no-norm,gelu-to-relu';
  const trained = steps === undefined ? [] : [{ passes: both, distill: Number(steps) }];
  for (const run of [{ passes: 'layer-norm-to-no-norm' }, { passes: 'gelu-to-relu' }, { passes: both }, ...trained]) {
    const start = performance.now();
    await convert({ source: model, output: path, calibrate, samples: Number(count), ...run });
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    const what = 'distill' in run ? `${run.passes}, ${run.distill} steps` : run.passes;
    rows.push([what, ...compared(original, await logitsOf(path)), seconds]);
  }
  console.log(table([['passes', 'accuracy %', 'agrees %', 'logits dB', 'seconds'], ...rows]));
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 1000).toFixed(0)} MB`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
