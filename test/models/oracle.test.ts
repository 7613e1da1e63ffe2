import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import { type Tensor, transposed } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { buildModel } from '../../src/models/index.ts';
import { CHECKPOINTS, differences, openCheckpoint, readManifest } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/**
 * The manifests leave room for runtimes that sum in f32. The evaluator sums in f64 and comes much nearer, so that a
 * tenth of the room tells the two GELUs and the two epsilons apart, which the whole of it does not.
 */
const LIMIT = 0.1;

/** The largest difference from torch, as a multiple of what the fixture tolerates. */
function worst(name: string, checkpoint: Checkpoint): number {
  return Math.max(...differences(name, buildModel(checkpoint, DYNAMIC).graph).values());
}

/** Weights that transformers itself stores and never applies. */
const UNUSED: { readonly [name: string]: RegExp } = {
  'hf-qa-bottleneckattn-shared': /\.bottleneck\.attention\./,
  'hf-qa-noembproj': /\.embedding_transformation\./,
  'hf-mlm-untied': /^cls\.predictions\.bias$/,
  'family-bert-relkey': /\.position_embeddings\.weight$/,
  'family-bert-relkeyquery': /\.position_embeddings\.weight$/,
  'family-st-colbert-hf': /^bert\.pooler\./,
};

const WARNINGS: { readonly [name: string]: RegExp } = {
  'family-v-relkey': /position_embedding_type: is relative_key, but there is no distance_embedding/,
};

describe('computes what torch computes', () => {
  test.each(CHECKPOINTS)('%s', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph, warnings, unused } = buildModel(checkpoint, DYNAMIC);
    verifyGraph(graph, 'import');
    const ratios = differences(name, graph);
    checkpoint.close();
    const { expected } = readManifest(name);
    const outputs = Object.keys(expected).filter((output) => !/^(hidden_states|attentions)$/.test(output));
    expect([...ratios.keys()].sort()).toEqual(outputs.sort());
    for (const [output, ratio] of ratios) expect(ratio, output).toBeLessThan(LIMIT);
    expect(warnings.filter((warning) => !WARNINGS[name]?.test(warning))).toEqual([]);
    expect(warnings.length > 0).toBe(name in WARNINGS);
    expect(unused.filter((weight) => !UNUSED[name]?.test(weight))).toEqual([]);
    expect(unused.length > 0).toBe(name in UNUSED);
  });

  test('covers every head and every switch of the config', () => {
    const heads = new Set(CHECKPOINTS.map((name) => readManifest(name).head));
    expect([...heads].sort()).toEqual(['features', 'mc', 'mlm', 'nsp', 'pretrain', 'qa', 'seqcls', 'tokcls']);
  });
});

describe('the oracle catches', () => {
  async function withTensor(name: string, weight: string, change: (tensor: Tensor) => Tensor): Promise<number> {
    const checkpoint = await openCheckpoint(name);
    const tensor = checkpoint.tensors.get(weight);
    if (tensor === undefined) throw new Error(`${name} has no ${weight}`);
    const ratio = worst(name, { ...checkpoint, tensors: new Map(checkpoint.tensors).set(weight, change(tensor)) });
    checkpoint.close();
    return ratio;
  }

  test('a square query weight that is transposed, whose shape shows nothing', async () => {
    const query = 'mobilebert.encoder.layer.0.attention.self.query.weight';
    expect(await withTensor('hf-qa', query, (tensor) => tensor)).toBeLessThan(LIMIT);
    expect(await withTensor('hf-qa', query, transposed)).toBeGreaterThan(100);
  });

  test('a query under the name of the key', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    const swapped = new Map(
      [...checkpoint.tensors].map(([name, tensor]) => [
        name.replace(/self\.(query|key)\./, (_, part) => `self.${part === 'key' ? 'query' : 'key'}.`),
        tensor,
      ]),
    );
    expect(worst('hf-qa', { ...checkpoint, tensors: swapped })).toBeGreaterThan(100);
    checkpoint.close();
  });

  test("torch's default epsilon in the norms that follow the config", async () => {
    const checkpoint = await openCheckpoint('hf-qa-layernorm-epstrap');
    const config = new Map(checkpoint.config).set('layer_norm_eps', 1e-5);
    expect(worst('hf-qa-layernorm-epstrap', { ...checkpoint, config })).toBeGreaterThan(LIMIT);
    checkpoint.close();
  });

  test('the config epsilon in the norms that torch builds without it', async () => {
    const checkpoint = await openCheckpoint('hf-qa-layernorm-epstrap');
    const { graph } = buildModel(checkpoint, DYNAMIC);
    for (const node of graph.nodes()) {
      if (node.op !== 'layerNorm' || node.attrs.epsilon !== 1e-5) continue;
      graph.replace(node, () => graph.add('layerNorm', node.inputs, { epsilon: 1e-12 }));
    }
    expect(Math.max(...differences('hf-qa-layernorm-epstrap', graph).values())).toBeGreaterThan(LIMIT);
    checkpoint.close();
  });

  test.each([
    ['hf-qa-nonorm-gelu', 'gelu_new'],
    ['hf-qa-nonorm-gelunew', 'gelu'],
  ])('%s computed with %s', async (name, activation) => {
    const checkpoint = await openCheckpoint(name);
    expect(
      worst(name, { ...checkpoint, config: new Map(checkpoint.config).set('hidden_act', activation) }),
    ).toBeGreaterThan(LIMIT);
    checkpoint.close();
  });
});
