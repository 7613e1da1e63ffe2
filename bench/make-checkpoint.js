// Writes a Hugging Face folder with a full-size MobileBERT for question answering, weights from a seed:
//   node bench/make-checkpoint.js OUT [layers=24] [seed=1]
// Gains are near 1 and biases near 0 but neither is exactly that: a converter that drops ones and zeros must not gain by it.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [out, layers = '24', seed = '1'] = process.argv.slice(2);
if (out === undefined) throw new Error('usage: node bench/make-checkpoint.js OUT [layers] [seed]');

const config = {
  architectures: ['MobileBertForQuestionAnswering'],
  model_type: 'mobilebert',
  vocab_size: 30522,
  hidden_size: 512,
  embedding_size: 128,
  intra_bottleneck_size: 128,
  intermediate_size: 512,
  num_hidden_layers: Number(layers),
  num_attention_heads: 4,
  num_feedforward_networks: 4,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  hidden_act: 'relu',
  normalization_type: 'no_norm',
  layer_norm_eps: 1e-12,
  trigram_input: true,
  use_bottleneck: true,
  use_bottleneck_attention: false,
  key_query_shared_bottleneck: true,
  classifier_activation: false,
  torch_dtype: 'float32',
};

/** @type {Map<string, number[]>} */
const shapes = new Map();
/** @type {(name: string, outputs: number, inputs: number) => void} */
const dense = (name, outputs, inputs) => {
  shapes.set(`${name}.weight`, [outputs, inputs]).set(`${name}.bias`, [outputs]);
};
/** @type {(name: string, width: number) => void} */
const norm = (name, width) => {
  shapes.set(`${name}.LayerNorm.weight`, [width]).set(`${name}.LayerNorm.bias`, [width]);
};
const {
  hidden_size: hidden,
  intra_bottleneck_size: intra,
  intermediate_size: wide,
  embedding_size: embedding,
} = config;
const embeddings = 'mobilebert.embeddings';
shapes.set(`${embeddings}.word_embeddings.weight`, [config.vocab_size, embedding]);
shapes.set(`${embeddings}.position_embeddings.weight`, [config.max_position_embeddings, hidden]);
shapes.set(`${embeddings}.token_type_embeddings.weight`, [config.type_vocab_size, hidden]);
dense(`${embeddings}.embedding_transformation`, hidden, 3 * embedding);
norm(embeddings, hidden);
for (let n = 0; n < config.num_hidden_layers; n++) {
  const layer = `mobilebert.encoder.layer.${n}`;
  for (const part of ['input', 'attention']) {
    dense(`${layer}.bottleneck.${part}.dense`, intra, hidden);
    norm(`${layer}.bottleneck.${part}`, intra);
  }
  dense(`${layer}.attention.self.query`, intra, intra);
  dense(`${layer}.attention.self.key`, intra, intra);
  dense(`${layer}.attention.self.value`, intra, hidden);
  dense(`${layer}.attention.output.dense`, intra, intra);
  norm(`${layer}.attention.output`, intra);
  for (const network of [...Array(config.num_feedforward_networks - 1).keys()]
    .map((k) => `${layer}.ffn.${k}`)
    .concat(layer)) {
    dense(`${network}.intermediate.dense`, wide, intra);
    dense(`${network}.output.dense`, intra, wide);
    norm(`${network}.output`, intra);
  }
  dense(`${layer}.output.bottleneck.dense`, hidden, intra);
  norm(`${layer}.output.bottleneck`, hidden);
}
dense('qa_outputs', 2, hidden);

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
  const isGain = name.endsWith('LayerNorm.weight');
  const spread = isGain
    ? 0.3
    : name.endsWith('.bias')
      ? 0.1
      : name.includes('_embeddings')
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
