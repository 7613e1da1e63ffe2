// How many labelled sentences each written file gets right, in the real runtimes:
//   node bench/accuracy.js MODEL_FOLDER LABELLED.tsv [sequence length=64]
// Padded and unpadded are two numbers: MobileBERT's trigram reads the embedding of [PAD] behind the last token.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convert, encodeSample, openTokenizer, readF32, readSamples, runtimeFor } from '../dist/index.js';
import { table } from './table.js';

const [model, labelled, sequence = '64'] = process.argv.slice(2);
if (model === undefined || labelled === undefined)
  throw new Error('usage: node bench/accuracy.js MODEL_FOLDER LABELLED.tsv [sequence length]');
const length = Number(sequence);
const tokenizer = openTokenizer(model);
const samples = readSamples(labelled);

/** @type {(path: string, padding: { length?: number }) => Promise<number>} */
async function countCorrect(path, padding) {
  const session = await runtimeFor(path).load(path);
  let correct = 0;
  for (const sample of samples) {
    const outputs = await session.run(feedsFor(session, sample, padding));
    const logits = outputs.get('logits');
    if (logits === undefined) throw new Error(`${path} has no output logits`);
    const values = readF32(logits);
    if (values.indexOf(Math.max(...values)) === Number(sample.label)) correct++;
  }
  await session.close();
  return correct;
}

/** @type {(session: import('../dist/index.js').RuntimeSession, sample: import('../dist/index.js').Sample, padding: { length?: number }) => Map<string, import('../dist/index.js').Tensor>} */
function feedsFor(session, sample, padding) {
  const feeds = encodeSample(sample, tokenizer, { dtype: 'i32', ...padding });
  return new Map([...feeds].filter(([name]) => session.inputs.some((input) => input.name === name)));
}

const folder = mkdtempSync(join(tmpdir(), 'mbert-accuracy-'));
try {
  const rows = [];
  for (const target of ['onnx', 'tflite']) {
    for (const dtype of /** @type {const} */ (['f32', 'f16'])) {
      const output = join(folder, `${dtype}.${target}`);
      // ONNX stays dynamic and takes both; LiteRT's WebAssembly build takes fixed shapes only.
      await convert({ source: model, output, dtype, ...(target === 'tflite' && { sequenceLength: length }) });
      const padded = await countCorrect(output, { length });
      const unpadded = target === 'onnx' ? String(await countCorrect(output, {})) : '-';
      rows.push([`${target}, ${dtype}`, unpadded, String(padded), ((100 * padded) / samples.length).toFixed(2)]);
    }
  }
  console.log(table([[`of ${samples.length}`, 'unpadded', `padded to ${length}`, 'padded %'], ...rows]));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
