import { describe, expect, test } from 'vitest';
import type { Checkpoint, ModuleChain } from '../../src/formats/checkpoint.ts';
import type { JsonValue } from '../../src/formats/json.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { integerTensor, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { buildModel, describeModel } from '../../src/models/index.ts';
import { EMBEDDERS, openCheckpoint, readArray, readManifest } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** The evaluator sums in f64 and comes much nearer than the room that manifests leave for runtimes. */
const LIMIT = 0.1;

function run(name: string, checkpoint: Checkpoint): ReadonlyMap<string, Tensor> {
  const { graph } = buildModel(checkpoint, DYNAMIC);
  verifyGraph(graph, 'import');
  const { inputs } = readManifest(name);
  return evaluate(
    graph,
    new Map(graph.inputs.map((input) => [input.name, readArray(name, inputs[input.name]?.file ?? '')])),
  );
}

function largestError(actual: Tensor, wanted: Tensor): number {
  const values = readF32(actual);
  return readF32(wanted).reduce((most, value, i) => Math.max(most, Math.abs(value - (values[i] as number))), 0);
}

/** A chain whose modules are changed, and what surrounds them. */
function withChain(checkpoint: Checkpoint, change: Partial<ModuleChain>): Checkpoint {
  if (checkpoint.moduleChain === undefined) throw new Error('the checkpoint has no modules');
  return { ...checkpoint, moduleChain: { ...checkpoint.moduleChain, ...change } };
}

/** A chain with one module behind the encoder. */
function withModule(checkpoint: Checkpoint, type: string, config: { readonly [key: string]: JsonValue }): Checkpoint {
  const [encoder] = checkpoint.moduleChain?.modules ?? [];
  if (encoder === undefined) throw new Error('the checkpoint has no modules');
  const module = {
    type,
    path: '1_Module',
    configPath: 'x/1_Module/config.json',
    config: new Map(Object.entries(config)),
  };
  return withChain(checkpoint, { modules: [encoder, module] });
}

const POOLING = 'sentence_transformers.models.Pooling';

describe('computes what sentence-transformers computes', () => {
  test.each(EMBEDDERS)('%s', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const outputs = run(name, checkpoint);
    const { warnings, unused } = buildModel(checkpoint, DYNAMIC);
    checkpoint.close();
    const { expected, tolerance } = readManifest(name);
    for (const [output, { file }] of Object.entries(expected)) {
      const error = largestError(outputs.get(output) as Tensor, readArray(name, file));
      expect(error, output).toBeLessThan(LIMIT * (tolerance[output]?.atol ?? 0));
    }
    expect(warnings).toEqual([]);
    expect(unused.filter((weight) => !/pooler|^cls\./.test(weight))).toEqual([]);
  });

  test('covers both forms of a config, every kind of module and a cross-encoder', () => {
    expect(EMBEDDERS).toEqual([
      'family-st-cls-norm',
      'family-st-crossencoder',
      'family-st-dense-norm',
      'family-st-distil-dense',
      'family-st-max',
      'family-st-mean-norm',
      'family-st-splade',
      'family-st-weightedmean',
      'family-st4-mean-norm',
    ]);
  });
});

describe('a pooling', () => {
  const NAME = 'family-st-mean-norm';

  /** Values of tokens, and which of them count, of one sequence of the fixture. */
  async function tokens(row: number) {
    const checkpoint = await openCheckpoint(NAME);
    const { graph } = buildModel(checkpoint, { ...DYNAMIC, task: 'features' });
    const { inputs } = readManifest(NAME);
    const feeds = new Map(graph.inputs.map(({ name }) => [name, readArray(NAME, inputs[name]?.file ?? '')]));
    const hidden = evaluate(graph, feeds).get('last_hidden_state') as Tensor;
    const [, length, width] = hidden.shape as readonly [number, number, number];
    const mask = readF32(feeds.get('attention_mask') as Tensor).subarray(row * length, (row + 1) * length);
    const values = readF32(hidden).subarray(row * length * width, (row + 1) * length * width);
    const valid = Array.from({ length }, (_, t) => values.subarray(t * width, (t + 1) * width)).filter(
      (_, t) => mask[t],
    );
    expect(valid.length).toBeLessThan(length);
    return { checkpoint, valid, width };
  }

  /** Σ w x / divisor over tokens. */
  function mix(valid: readonly Float32Array[], width: number, weigh: (t: number) => number, divisor: number): number[] {
    return Array.from({ length: width }, (_, c) =>
      valid.reduce((sum, token, t) => sum + (weigh(t) * (token[c] as number)) / divisor, 0),
    );
  }

  const ROW = 1;
  const triangle = (n: number) => (n * (n + 1)) / 2;
  const MODES: readonly (readonly [string, (valid: readonly Float32Array[], width: number) => number[]])[] = [
    ['cls', ([first]) => [...(first ?? [])]],
    [
      'max',
      (valid, width) => Array.from({ length: width }, (_, c) => Math.max(...valid.map((token) => token[c] as number))),
    ],
    ['mean', (valid, width) => mix(valid, width, () => 1, valid.length)],
    ['mean_sqrt_len_tokens', (valid, width) => mix(valid, width, () => 1, Math.sqrt(valid.length))],
    ['weightedmean', (valid, width) => mix(valid, width, (t) => t + 1, triangle(valid.length))],
    ['lasttoken', (valid) => [...(valid.at(-1) ?? [])]],
  ];

  test.each(MODES)('%s leaves padding out', async (mode, reference) => {
    const { checkpoint, valid, width } = await tokens(ROW);
    const found = run(NAME, withModule(checkpoint, POOLING, { pooling_mode: mode })).get(
      'sentence_embedding',
    ) as Tensor;
    checkpoint.close();
    const values = readF32(found).subarray(ROW * width, (ROW + 1) * width);
    for (const [c, value] of reference(valid, width).entries()) expect(values[c]).toBeCloseTo(value, 5);
  });

  test('by the last token takes one, also where padding is on the left or in between', async () => {
    const checkpoint = await openCheckpoint(NAME);
    const { graph } = buildModel(withModule(checkpoint, POOLING, { pooling_mode: 'lasttoken' }), DYNAMIC);
    const masks = [
      [1, 1, 1, 1, 0, 0],
      [0, 0, 1, 1, 1, 1],
      [1, 1, 0, 1, 1, 0],
      [1, 0, 1, 0, 0, 1],
      [0, 0, 0, 0, 0, 0],
    ];
    const ids = masks.map(() => [5, 6, 7, 8, 9, 10]);
    const feeds = new Map(
      graph.inputs.map(({ name }) => {
        const rows =
          name === 'input_ids' ? ids : name === 'attention_mask' ? masks : ids.map((row) => row.map(() => 0));
        return [name, integerTensor('i64', rows.flat(), [masks.length, 6])];
      }),
    );
    const outputs = evaluate(graph, feeds);
    checkpoint.close();
    const hidden = readF32(outputs.get('last_hidden_state') as Tensor);
    const found = outputs.get('sentence_embedding') as Tensor;
    const width = found.shape[1] as number;
    for (const [row, mask] of masks.entries()) {
      const last = mask.lastIndexOf(1);
      const start = (row * 6 + last) * width;
      const wanted = last < 0 ? new Float32Array(width) : hidden.slice(start, start + width);
      expect(readF32(found).slice(row * width, (row + 1) * width)).toEqual(wanted);
    }
  });

  test('of several kinds puts them side by side, in the order of the class for flags and of the list for names', async () => {
    const { checkpoint, valid, width } = await tokens(ROW);
    const first = (config: { readonly [key: string]: JsonValue }) => {
      const found = run(NAME, withModule(checkpoint, POOLING, config)).get('sentence_embedding') as Tensor;
      expect(found.shape.at(-1)).toBe(2 * width);
      return [0, width].map((at) => readF32(found)[2 * ROW * width + at]);
    };
    const cls = valid[0]?.[0] as number;
    const mean = valid.reduce((sum, token) => sum + (token[0] as number) / valid.length, 0);
    const flags = first({
      pooling_mode_mean_tokens: true,
      pooling_mode_cls_token: true,
      pooling_mode_max_tokens: false,
    });
    expect(flags).toEqual([expect.closeTo(cls, 5), expect.closeTo(mean, 5)]);
    const names = first({ pooling_mode: ['mean', 'cls'] });
    expect(names).toEqual([expect.closeTo(mean, 5), expect.closeTo(cls, 5)]);
    checkpoint.close();
  });

  test('that is not named is the mean', async () => {
    const { checkpoint, valid } = await tokens(ROW);
    const found = run(NAME, withModule(checkpoint, POOLING, {})).get('sentence_embedding') as Tensor;
    const width = found.shape[1] as number;
    checkpoint.close();
    expect(readF32(found)[ROW * width]).toBeCloseTo(
      valid.reduce((sum, [x = 0]) => sum + x / valid.length, 0),
      5,
    );
  });
});

describe('SPLADE', () => {
  const NAME = 'family-st-splade';
  const SPLADE = 'sentence_transformers.sparse_encoder.models.SpladePooling';

  test.each([
    ['sum', 'relu'],
    ['max', 'log1p_relu'],
    ['sum', 'log1p_relu'],
  ])('by %s of %s pools what the words score', async (strategy, activation) => {
    const checkpoint = await openCheckpoint(NAME);
    const config = { pooling_strategy: strategy, activation_function: activation };
    const found = readF32(run(NAME, withModule(checkpoint, SPLADE, config)).get('sentence_embedding') as Tensor);
    const { graph } = buildModel(checkpoint, { ...DYNAMIC, task: 'masked-lm' });
    const { inputs } = readManifest(NAME);
    const feeds = new Map(graph.inputs.map(({ name }) => [name, readArray(NAME, inputs[name]?.file ?? '')]));
    const scores = evaluate(graph, feeds).get('logits') as Tensor;
    checkpoint.close();
    const [, length, words] = scores.shape as readonly [number, number, number];
    const mask = readF32(feeds.get('attention_mask') as Tensor);
    const logits = readF32(scores);
    const worth = (x: number) => {
      const once = Math.log1p(Math.max(0, x));
      return activation === 'relu' ? once : Math.log1p(once);
    };
    for (const word of [0, 7, words - 1]) {
      const values = Array.from({ length }, (_, t) =>
        worth((logits[t * words + word] as number) * (mask[t] as number)),
      );
      const wanted = strategy === 'sum' ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
      expect(found[word]).toBeCloseTo(wanted, 4);
    }
  });
});

describe('a dense module', () => {
  const NAME = 'family-st-dense-norm';
  const activations = (values: Float32Array, activation: (x: number) => number) => [...values].map(activation);

  async function dense(
    config: { readonly [key: string]: JsonValue },
    weights: { readonly [name: string]: Tensor } = {},
  ) {
    const checkpoint = await openCheckpoint(NAME);
    const modules = checkpoint.moduleChain?.modules.slice(0, 3).map((module) => {
      return module.path === '2_Dense'
        ? { ...module, config: new Map([...module.config, ...Object.entries(config)]) }
        : module;
    });
    const tensors = new Map([...checkpoint.tensors, ...Object.entries(weights)]);
    const changed = withChain({ ...checkpoint, tensors }, { modules: modules ?? [] });
    const values = readF32(run(NAME, changed).get('sentence_embedding') as Tensor);
    checkpoint.close();
    return values;
  }

  test.each<[string, (x: number) => number]>([
    ['activation.ReLU', (x) => Math.max(0, x)],
    ['activation.Sigmoid', (x) => 1 / (1 + Math.exp(-x))],
    ['activation.SiLU', (x) => x / (1 + Math.exp(-x))],
    ['activation.LeakyReLU', (x) => Math.max(x, 0.01 * x)],
    ['activation.Tanh', Math.tanh],
  ])('ends in torch.nn.modules.%s', async (name, activation) => {
    const plain = await dense({});
    const found = await dense({ activation_function: `torch.nn.modules.${name}` });
    for (const [i, value] of activations(plain, activation).entries()) expect(found[i]).toBeCloseTo(value, 5);
  });

  test('adds what it reads, projected where the widths differ', async () => {
    const plain = await dense({});
    const zeros = tensorOf('f32', [24, 32], new Float32Array(24 * 32));
    expect(await dense({ use_residual: true }, { '2_Dense.residual.weight': zeros })).toEqual(plain);
  });

  test('may have no bias', async () => {
    const zero = tensorOf('f32', [24], new Float32Array(24));
    const found = await dense({ bias: false });
    const wanted = await dense({}, { '2_Dense.linear.bias': zero });
    expect(found).toEqual(wanted);
  });

  test('whose activation is code of its own is refused by its name', async () => {
    await expect(dense({ activation_function: 'my.package.Act' })).rejects.toThrow(
      /2_Dense.config\.json: activation_function: "my\.package\.Act" is not supported; of torch\.nn: Identity, ReLU,/,
    );
  });

  test('that lacks a weight is refused', async () => {
    const checkpoint = await openCheckpoint(NAME);
    const tensors = new Map(checkpoint.tensors);
    tensors.delete('2_Dense.linear.weight');
    expect(() => buildModel({ ...checkpoint, tensors }, DYNAMIC)).toThrow(
      /2_Dense\.linear\.weight: the weight is missing/,
    );
    checkpoint.close();
  });
});

describe('a folder of sentence-transformers', () => {
  const NAME = 'family-st-mean-norm';

  async function warningsOf(change: Partial<ModuleChain>): Promise<readonly string[]> {
    const checkpoint = await openCheckpoint(NAME);
    const { warnings } = buildModel(withChain(checkpoint, change), DYNAMIC);
    checkpoint.close();
    return warnings;
  }

  test('has no output of its untrained pooler', async () => {
    const checkpoint = await openCheckpoint(NAME);
    const { graph, unused, warnings, task } = buildModel(checkpoint, DYNAMIC);
    checkpoint.close();
    expect(graph.outputs.map(({ name }) => name)).toEqual(['last_hidden_state', 'sentence_embedding']);
    expect([task, unused, warnings]).toEqual(['sentence-embedding', ['pooler.dense.bias', 'pooler.dense.weight'], []]);
  });

  test('gives the encoder alone where that is asked for, without a word of its modules', async () => {
    const checkpoint = await openCheckpoint('family-st-dense-norm');
    const { graph, warnings } = buildModel(checkpoint, { ...DYNAMIC, task: 'features' });
    checkpoint.close();
    expect(graph.outputs.map(({ name }) => name)).toEqual(['last_hidden_state', 'pooler_output']);
    expect(warnings).toEqual([]);
  });

  test('says how long its texts are', async () => {
    const checkpoint = await openCheckpoint('family-st4-mean-norm');
    expect(describeModel(checkpoint).usualLength).toBe(24);
    checkpoint.close();
    const silent = await openCheckpoint(NAME);
    expect(describeModel(silent).usualLength).toBeUndefined();
    silent.close();
  });

  test('with a module that is not known is refused by the name of its class', async () => {
    const checkpoint = await openCheckpoint(NAME);
    for (const type of ['sentence_transformers.models.CNN', 'custom_st.Transformer']) {
      expect(() => buildModel(withModule(checkpoint, type, {}), DYNAMIC)).toThrow(
        expect.objectContaining({
          code: 'UNSUPPORTED',
          message: expect.stringMatching(new RegExp(`modules.json: ${type}: is no module that mbert knows$`)),
          hint: expect.stringMatching(/Pooling.*--task features converts the encoder alone$/),
        }),
      );
    }
    checkpoint.close();
  });

  test('cuts its embeddings as encode() does', async () => {
    const checkpoint = await openCheckpoint(NAME);
    const cut = withChain(checkpoint, { settings: new Map([['truncate_dim', 8]]) });
    const [whole, short] = [checkpoint, cut].map((each) => run(NAME, each).get('sentence_embedding') as Tensor);
    checkpoint.close();
    expect(short?.shape).toEqual([3, 8]);
    expect(readF32(short as Tensor).subarray(0, 8)).toEqual(readF32(whole as Tensor).subarray(0, 8));
  });

  test('whose texts want a prompt is warned of', async () => {
    const prompts = new Map([['query', 'query: ']]);
    expect(
      await warningsOf({
        settings: new Map<string, JsonValue>([
          ['default_prompt_name', 'query'],
          ['prompts', prompts],
        ]),
      }),
    ).toEqual([
      expect.stringMatching(
        /default_prompt_name: sentence-transformers puts "query: " before every text: the app has to$/,
      ),
    ]);
    expect(
      await warningsOf({
        settings: new Map<string, JsonValue>([
          ['default_prompt_name', null],
          ['prompts', prompts],
        ]),
      }),
    ).toEqual([]);
  });

  test('whose pooling leaves the prompt out is warned of', async () => {
    const checkpoint = await openCheckpoint(NAME);
    const { warnings } = buildModel(withModule(checkpoint, POOLING, { include_prompt: false }), DYNAMIC);
    checkpoint.close();
    expect(warnings).toEqual([
      expect.stringMatching(/1_Module.config\.json: include_prompt: tokens of a prompt count/),
    ]);
  });

  test('is what --task sentence-embedding needs', async () => {
    const checkpoint = await openCheckpoint('minilm-features');
    expect(() => buildModel(checkpoint, { ...DYNAMIC, task: 'sentence-embedding' })).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/there is no pooling beside it$/),
      }),
    );
    checkpoint.close();
  });

  test('may pool by names that are not known, which are refused', async () => {
    const checkpoint = await openCheckpoint(NAME);
    expect(() => buildModel(withModule(checkpoint, POOLING, { pooling_mode: 'median' }), DYNAMIC)).toThrow(
      /pooling_mode: "median" is not supported; supported: cls, max, mean,/,
    );
    checkpoint.close();
  });
});

describe('a model with a vector for each token', () => {
  const DENSE = 'pylate.models.Dense.Dense';

  async function build(settings: ReadonlyMap<string, JsonValue>) {
    const checkpoint = await openCheckpoint('family-st-dense-norm');
    const modules = checkpoint.moduleChain?.modules ?? [];
    const dense = modules.find(({ path }) => path === '2_Dense');
    if (dense === undefined) throw new Error('the fixture has no dense module');
    const { module_input_name: _, module_output_name: __, ...config } = Object.fromEntries(dense.config);
    const chain = [...modules.slice(0, 1), { ...dense, type: DENSE, config: new Map(Object.entries(config)) }];
    const { graph, task } = buildModel(withChain(checkpoint, { modules: chain, settings }), DYNAMIC);
    checkpoint.close();
    return { outputs: graph.outputs.map(({ name, node }) => [name, node.op, node.type.shape]), task };
  }

  test('has that as its features, normalized where its library does so without a module', async () => {
    const shape = ['batch', 'sequence', 24];
    expect(await build(new Map([['model_type', 'ColBERT']]))).toEqual({
      outputs: [['token_embeddings', 'normalize', shape]],
      task: 'features',
    });
    expect((await build(new Map())).outputs).toEqual([['token_embeddings', 'linear', shape]]);
  });
});
