import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSource } from '../../src/importers/index.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { buildModel, describeModel } from '../../src/models/index.ts';
import { readArray, readManifest } from '../models/corpus.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { readConfig, tensorsOf, writeSafetensors } from './safetensors-file.ts';

const ADAPTER = 'fixtures/family-v-peft-adapter';
const NAME = 'family-v-peft-adapter';
const root = temporaryFolder();
let folders = 0;

type Weights = readonly (readonly [string, Tensor])[];

/** A copy of the adapter's base as a folder of its own. */
function baseFolder(): string {
  const folder = join(root, `${folders++}`);
  cpSync(unpacked('fixtures/family-v-peft-base'), folder, { recursive: true });
  return folder;
}

/** Puts an adapter into a folder, with its config and its weights changed. */
function addAdapter(
  folder: string,
  config: { readonly [key: string]: unknown } = {},
  change: (weights: Weights) => Weights = (weights) => weights,
): string {
  const json = { ...readConfig(join(ADAPTER, 'adapter_config.json')), ...config };
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(json));
  const weights = tensorsOf(join(ADAPTER, 'adapter_model.safetensors'));
  writeSafetensors(join(folder, 'adapter_model.safetensors'), change(weights));
  return folder;
}

async function logitsOf(path: string, base?: string) {
  const source = await openSource(path, { base });
  if (source.yields !== 'checkpoint') throw new Error('it is a graph');
  const { graph, warnings, task } = buildModel(source.checkpoint, {
    batch: 'batch',
    sequenceLength: 'sequence',
    indexType: 'i64',
  });
  const { inputs } = readManifest(NAME);
  const feeds = graph.inputs.map(({ name }) => [name, readArray(NAME, inputs[name]?.file ?? '')] as const);
  const logits = readF32(evaluate(graph, new Map(feeds)).get('logits') as Tensor);
  source.checkpoint.close();
  return { logits, warnings, task };
}

function oracle(): Float32Array {
  return readF32(readArray(NAME, readManifest(NAME).expected['logits']?.file ?? ''));
}

function expectNear(found: Float32Array, wanted: Float32Array): void {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) expect(found[i]).toBeCloseTo(value, 4);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

describe('a LoRA adapter', () => {
  test('beside its model is merged, and told', async () => {
    const folder = addAdapter(baseFolder());
    const { logits, warnings } = await logitsOf(folder);
    expectNear(logits, oracle());
    expect(warnings).toEqual([`${folder}/adapter_model.safetensors: LoRA of 4 modules merged into the weights`]);
  });

  test('of a folder of its own is merged into the base that is named', async () => {
    const { logits, task } = await logitsOf(ADAPTER, baseFolder());
    expectNear(logits, oracle());
    expect(task).toBe('sequence-classification');
  });

  test('alone is refused, with the base that it names', async () => {
    await expect(openSource(ADAPTER)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: `${ADAPTER}: is an adapter, not a model`,
      hint: 'say which model it was trained on: --base FOLDER (it names ../v-peft-base)',
    });
  });

  test('changes the model', async () => {
    const { logits } = await logitsOf(baseFolder());
    expect(largestDifference(logits, oracle())).toBeGreaterThan(0.1);
  });

  test('whose names PEFT has wrapped needs its config, which alone says how strong it is', async () => {
    const folder = baseFolder();
    const adapter = tensorsOf(join(ADAPTER, 'adapter_model.safetensors'));
    const changed = new Set(adapter.map(([name]) => name.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, '')));
    const whole = tensorsOf(join(folder, 'model.safetensors')).map(([name, tensor]): [string, Tensor] => {
      const [, module = '', leaf = ''] = /^(.*)\.(\w+)$/.exec(name) ?? [];
      if (module === 'classifier') return [`base_model.model.classifier.original_module.${leaf}`, tensor];
      return [`base_model.model.${changed.has(module) ? `${module}.base_layer.${leaf}` : name}`, tensor];
    });
    const parts = adapter.map(([name, tensor]): [string, Tensor] => {
      const classifier = name.replace(/\.classifier\./, '.classifier.modules_to_save.default.');
      return [classifier.replace(/(lora_[AB])\.weight$/, '$1.default.weight'), tensor];
    });
    writeSafetensors(join(folder, 'model.safetensors'), [...whole, ...parts]);
    await expect(logitsOf(folder)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/its LoRA is not merged, and nothing here says its lora_alpha$/),
    });
    cpSync(join(ADAPTER, 'adapter_config.json'), join(folder, 'adapter_config.json'));
    expectNear((await logitsOf(folder)).logits, oracle());
  });

  test('is as strong as alpha says, by the rank or its root, and by module', async () => {
    const scaled = async (config: { readonly [key: string]: unknown }) =>
      (await logitsOf(addAdapter(baseFolder(), config))).logits;
    // alpha 8 of rank 4 is a factor 2, as is alpha 4 over the root of 4.
    expectNear(await scaled({ use_rslora: true, lora_alpha: 4 }), oracle());
    expectNear(await scaled({ lora_alpha: 1, alpha_pattern: { query: 8, 'self.value': 8 } }), oracle());
    expect(largestDifference(await scaled({ lora_alpha: 4 }), oracle())).toBeGreaterThan(0.01);
    expect(largestDifference(await scaled({ alpha_pattern: { query: 4 } }), oracle())).toBeGreaterThan(0.01);
  });

  test('of matrices [in, out] is turned', async () => {
    const turned = (weights: Weights): Weights =>
      weights.map(([name, tensor]) => {
        if (!/lora_/.test(name)) return [name, tensor];
        const [rows = 0, columns = 0] = tensor.shape;
        const values = readF32(tensor);
        const flipped = values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)] as number);
        return [
          name.replace(/lora_([AB])/, (_, side) => `lora_${side === 'A' ? 'B' : 'A'}`),
          tensorOf('f32', [columns, rows], flipped),
        ];
      });
    // With A and B in each other's place, B·A of the turned matrix is what A·B was.
    expectNear((await logitsOf(addAdapter(baseFolder(), { fan_in_fan_out: true }, turned))).logits, oracle());
  });

  test('may hold biases, which take the place of the base', async () => {
    const bias = tensorOf('f32', [32], new Float32Array(32).fill(0.5));
    const key = 'base_model.model.bert.encoder.layer.0.attention.self.query.bias';
    const folder = addAdapter(baseFolder(), { bias: 'lora_only' }, (weights) => [...weights, [key, bias]]);
    const { checkpoint } = (await openSource(folder)) as {
      checkpoint: { tensors: ReadonlyMap<string, Tensor>; close(): void };
    };
    const found = checkpoint.tensors.get('bert.encoder.layer.0.attention.self.query.bias') as Tensor;
    expect(readF32(found)).toEqual(readF32(bias));
    checkpoint.close();
  });

  test('that was trained for a task says which head is built', async () => {
    const folder = baseFolder();
    const config = { ...readConfig(join(folder, 'config.json')), architectures: ['BertForMaskedLM'] };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    const source = await openSource(addAdapter(folder));
    if (source.yields !== 'checkpoint') throw new Error('it is a graph');
    expect(describeModel(source.checkpoint).task).toBe('sequence-classification');
    source.checkpoint.close();
  });
});

describe('is refused by name', () => {
  test.each([
    ['IA3', { peft_type: 'IA3' }, 'peft_type: "IA3" is not supported: of adapters mbert merges LoRA'],
    ['prompt tuning', { peft_type: 'PROMPT_TUNING' }, 'peft_type: "PROMPT_TUNING" is not supported'],
    ['no type', { peft_type: undefined }, 'peft_type: is absent'],
    ['DoRA', { use_dora: true }, 'use_dora: true is not supported'],
    ['activated LoRA', { alora_invocation_tokens: [1] }, 'alora_invocation_tokens: an array is not supported'],
    ['a pattern', { alpha_pattern: { '.*query': 4 } }, 'alpha_pattern: ".*query" is no plain name'],
    ['alpha that is no number', { lora_alpha: 'much' }, 'lora_alpha: must be a number, got "much"'],
  ] as const)('%s', async (_, config, message) => {
    await expect(openSource(addAdapter(baseFolder(), config))).rejects.toThrow(message);
  });

  test.each<[string, string, string]>([
    ['AdapterHub', 'bert.encoder.layer.0.output.adapters.sst.adapter_up.weight', 'belongs to adapters of AdapterHub'],
    ['IA3', 'bert.encoder.layer.0.output.dense.ia3_l', 'belongs to IA3'],
    ['prefix tuning', 'bert.prefix_encoder.embedding.weight', 'belongs to prompt or prefix tuning'],
    ['LoHa', 'bert.encoder.layer.0.output.dense.hada_w1_a', 'belongs to an adapter of PEFT'],
  ])('%s among the weights', async (_, name, message) => {
    const folder = baseFolder();
    const path = join(folder, 'model.safetensors');
    writeSafetensors(path, [...tensorsOf(path), [name, tensorOf('f32', [1], new Float32Array(1))]]);
    await expect(openSource(folder)).rejects.toThrow(`${name}: ${message}`);
  });

  test('a factor that does not fit, or has no other', async () => {
    const wrong = (weights: Weights): Weights =>
      weights.map(([name, tensor]) => [
        name,
        /lora_B/.test(name) ? tensorOf('f32', [16, 4], new Float32Array(64)) : tensor,
      ]);
    await expect(openSource(addAdapter(baseFolder(), {}, wrong))).rejects.toThrow(
      '[16, 4] times [4, 32] does not fit [32, 32]',
    );
    const half = (weights: Weights) => weights.filter(([name]) => !/lora_B/.test(name));
    await expect(openSource(addAdapter(baseFolder(), {}, half))).rejects.toThrow('lacks one of its factors');
  });

  test('a change of a weight that the base does not have', async () => {
    const moved = (weights: Weights): Weights =>
      weights.map(([name, tensor]) => [name.replace('layer.1', 'layer.7'), tensor]);
    await expect(openSource(addAdapter(baseFolder(), {}, moved))).rejects.toThrow(
      /layer\.7\.attention\.self\.query\.weight: is changed, but the base has no such weight/,
    );
  });

  test('a base for what is no adapter, and a graph as a base', async () => {
    const base = baseFolder();
    await expect(openSource(base, { base })).rejects.toMatchObject({
      code: 'USAGE',
      message: `--base: is for adapters, ${base} is a whole model`,
    });
    const graph = unpacked('fixtures/family-pool--ts-static');
    await expect(openSource(ADAPTER, { base: graph })).rejects.toThrow('is a graph, adapters change weights');
  });
});

test('an adapter beside weights is never taken for them', async () => {
  const folder = addAdapter(baseFolder());
  rmSync(join(folder, 'model.safetensors'));
  expect(readdirSync(folder)).toContain('adapter_model.safetensors');
  await expect(openSource(folder)).rejects.toThrow('is an adapter, not a model');
});
