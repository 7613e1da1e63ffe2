// Writes a Hugging Face folder with a full-size model, weights from a seed:
//   node bench/make-checkpoint.js OUT [layers] [seed=1] [--model mobilebert]
// Gains are near 1 and biases near 0 but neither is exactly that: a converter that drops ones and zeros must not gain by it.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CHECKPOINTS } from './checkpoints.js';

const {
  positionals: [out, layers, seed = '1'],
  values: { model },
} = parseArgs({ allowPositionals: true, options: { model: { type: 'string', default: 'mobilebert' } } });
const make = CHECKPOINTS[model];
if (out === undefined || make === undefined) {
  throw new Error(
    `usage: node bench/make-checkpoint.js OUT [layers] [seed] [--model ${Object.keys(CHECKPOINTS).join('|')}]`,
  );
}
const { config, shapes } = make(layers === undefined ? undefined : Number(layers));

let state = Number(seed) >>> 0;
/** Uniform in [-1, 1), mulberry32. */
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let bits = Math.imul(state ^ (state >>> 15), state | 1);
  bits = (bits + Math.imul(bits ^ (bits >>> 7), bits | 61)) ^ bits;
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1;
}

/** @type {(name: string, shape: readonly number[]) => Float32Array} */
function values(name, shape) {
  const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1));
  const isGain = /[Nn]orm\.weight$/.test(name);
  const spread = isGain
    ? 0.3
    : name.endsWith('.bias')
      ? 0.1
      : /_embeddings|relative_attention_bias/.test(name)
        ? 0.5
        : Math.sqrt(3 / (shape[1] ?? 1)) * 0.5;
  for (let i = 0; i < data.length; i++) data[i] = (isGain ? 0.7 : 0) + spread * random();
  return data;
}

mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
/** @type {Record<string, unknown>} */
const header = { __metadata__: { format: 'pt' } };
let offset = 0;
for (const [name, shape] of shapes) {
  const end = offset + 4 * shape.reduce((size, dim) => size * dim, 1);
  header[name] = { dtype: 'F32', shape, data_offsets: [offset, end] };
  offset = end;
}
const text = JSON.stringify(header);
const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(padded.length));
const file = openSync(join(out, 'model.safetensors'), 'w');
writeSync(file, length);
writeSync(file, padded);
for (const [name, shape] of shapes) writeSync(file, new Uint8Array(values(name, shape).buffer));
closeSync(file);
console.log(`${out}: ${shapes.size} tensors, ${((offset + padded.length + 8) / 1e6).toFixed(1)} MB`);
