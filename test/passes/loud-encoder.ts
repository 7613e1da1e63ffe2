import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { random } from '../core.ts';
import { writeSafetensors } from '../importers/safetensors-file.ts';

const HIDDEN = 64;
const WIDE = 256;
const VOCABULARY = 'fixtures/mobilebert-demo/vocab.txt';
const WORDS = 10955;

/** Channels of the norm before each feed-forward network, and the number of neurons of it, that are large as in trained encoders. */
const LOUD_CHANNELS = [5, 9];
const LOUD_NEURONS = 8;
/** The channel of a feed-forward network's result that is. */
const LOUD_RESULT = 11;

/**
 * Writes a folder with a BERT classifier of two layers, LayerNorm and GELU, weights from a seed, and two channels and eight
 * neurons in each layer that are some ten times as large as the others.
 */
export function writeLoudEncoder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const next = random(5);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const tensors = new Map<string, Tensor>();
  const put = (name: string, shape: readonly number[], value: (i: number) => number) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    tensors.set(
      name,
      tensorOf(
        'f32',
        shape,
        Float32Array.from({ length: size }, (_, i) => value(i)),
      ),
    );
  };
  const dense = (name: string, rows: number, columns: number, gain = 1) => {
    put(`${name}.weight`, [rows, columns], () => (gain * normal()) / Math.sqrt(columns));
    put(`${name}.bias`, [rows], () => 0.1 * normal());
  };
  const norm = (name: string, loud: readonly number[] = []) => {
    put(`${name}.weight`, [HIDDEN], (c) => (loud.includes(c) ? 16 : 1) * (1 + 0.1 * normal()));
    put(`${name}.bias`, [HIDDEN], () => 0.1 * normal());
  };
  put('bert.embeddings.word_embeddings.weight', [WORDS, HIDDEN], normal);
  put('bert.embeddings.position_embeddings.weight', [64, HIDDEN], () => 0.3 * normal());
  put('bert.embeddings.token_type_embeddings.weight', [2, HIDDEN], () => 0.1 * normal());
  norm('bert.embeddings.LayerNorm');
  for (const layer of [0, 1].map((n) => `bert.encoder.layer.${n}`)) {
    for (const part of ['query', 'key', 'value']) dense(`${layer}.attention.self.${part}`, HIDDEN, HIDDEN);
    dense(`${layer}.attention.output.dense`, HIDDEN, HIDDEN);
    norm(`${layer}.attention.output.LayerNorm`, LOUD_CHANNELS);
    put(`${layer}.intermediate.dense.weight`, [WIDE, HIDDEN], (i) => {
      const isLoud = LOUD_CHANNELS.includes(i % HIDDEN);
      return ((isLoud ? 0.3 : 1) * (i < LOUD_NEURONS * HIDDEN ? 12 : 1) * normal()) / Math.sqrt(HIDDEN);
    });
    put(`${layer}.intermediate.dense.bias`, [WIDE], () => 0.1 * normal());
    put(`${layer}.output.dense.weight`, [HIDDEN, WIDE], (i) => {
      const isLoud = Math.floor(i / WIDE) === LOUD_RESULT;
      return ((isLoud ? 25 : 1) * (i % WIDE < LOUD_NEURONS ? 0.6 : 1) * normal()) / Math.sqrt(WIDE);
    });
    put(`${layer}.output.dense.bias`, [HIDDEN], () => 0.1 * normal());
    norm(`${layer}.output.LayerNorm`);
  }
  dense('bert.pooler.dense', HIDDEN, HIDDEN);
  dense('classifier', 2, HIDDEN);
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  copyFileSync(VOCABULARY, join(folder, 'vocab.txt'));
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      architectures: ['BertForSequenceClassification'],
      model_type: 'bert',
      hidden_act: 'gelu',
      hidden_size: HIDDEN,
      intermediate_size: WIDE,
      layer_norm_eps: 1e-12,
      max_position_embeddings: 64,
      num_attention_heads: 4,
      num_hidden_layers: 2,
      type_vocab_size: 2,
      vocab_size: WORDS,
    }),
  );
  return folder;
}
