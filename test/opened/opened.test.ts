import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import type { JsonObject } from '../../src/formats/json.ts';
import { writeFiles } from '../../src/io/files.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { scalarOf } from '../../src/ir/match.ts';
import type { Distribution } from '../../src/metrics/distribution.ts';
import { changedModel } from '../../src/opened/changed-model.ts';
import { fromCheckpoint } from '../../src/opened/checkpoint-model.ts';
import { classReader, classReaderOf } from '../../src/opened/class-labels.ts';
import { fromGraph } from '../../src/opened/graph-model.ts';
import { layerEnds } from '../../src/opened/layer-ends.ts';
import { loadSource } from '../../src/opened/load-source.ts';
import { openModel, openOneOfTwo } from '../../src/opened/open-model.ts';
import type { OpenedModel } from '../../src/opened/opened-model.ts';
import { outlineOf } from '../../src/opened/outline.ts';
import { paddingSideWarnings } from '../../src/opened/padding-side.ts';
import { tableRows } from '../../src/opened/token-tables.ts';
import type { ShapeOptions } from '../../src/options/shape.ts';
import { graphOf } from '../core.ts';
import { openCheckpoint } from '../models/corpus.ts';
import { useFakeRuntime } from '../pipelines/fake-runtime.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

describe('what files of a checkpoint are compared with', () => {
  const scores = (graph: Graph | undefined) => [
    ...new Set(
      graph
        ?.nodes()
        .map((node) => scalarOf(node))
        .filter((value) => value !== null && value <= -10000),
    ),
  ];
  const least = Math.fround(-3.4028234663852886e38);

  test.each(['bert-seqcls', 'family-modernbert-base'])('hides padding as PyTorch does: %s', async (name) => {
    const model = fromCheckpoint(await openCheckpoint(name), {});
    expect(scores(model.reference())).toEqual([-10000]);
    expect(scores(model.asComputed?.())).toEqual([least]);
    const changed = changedModel(model, model.reference(), ['a-pass']);
    expect(scores(changed.reference())).toEqual([-10000]);
    expect(scores(changed.asComputed?.())).toEqual([least]);
    model.close();
  });

  test('hides padding as TensorFlow does, by what files have', async () => {
    const model = fromCheckpoint(await openCheckpoint('h5-seqcls'), {});
    expect(model.asComputed).toBeUndefined();
    expect(changedModel(model, model.reference(), []).asComputed).toBeUndefined();
    model.close();
  });
});

describe('a tokenizer that pads on the left', () => {
  const file = (what: string, json: object) => ({ what, bytes: new TextEncoder().encode(JSON.stringify(json)) });
  const config = (json: object) => file('tokenizer_config.json', json);
  const tokenizer = (direction: string) =>
    file('tokenizer.json', { truncation: { direction: 'Left' }, padding: { direction } });
  const left = config({ padding_side: 'left' });

  test.each([
    ['by its config', { config: left }, 'tokenizer_config.json: padding_side: is left: '],
    ['by its own file', { tokenizer: tokenizer('Left') }, 'tokenizer.json: padding: direction: is Left: '],
    [
      'by its file, of which the config says nothing',
      { config: config({}), tokenizer: tokenizer('Left') },
      'tokenizer.json: ',
    ],
    ['by its config, against its file', { config: left, tokenizer: tokenizer('Right') }, 'tokenizer_config.json: '],
  ])('%s is warned of', (_, files, start) => {
    const warnings = paddingSideWarnings(files);
    expect(warnings).toEqual([expect.stringContaining(start)]);
    expect(warnings[0]).toContain('mbert pads on the right');
  });

  test.each([
    ['nothing', {}],
    ['a file that pads on the right and cuts on the left', { tokenizer: tokenizer('Right') }],
    [
      'a config that pads on the right, whatever the file says',
      { config: config({ padding_side: 'right' }), tokenizer: tokenizer('Left') },
    ],
    [
      'a damaged config, which stops those who read texts',
      { config: { what: 'c', bytes: new TextEncoder().encode('{') } },
    ],
  ])('is not %s', (_, files) => {
    expect(paddingSideWarnings(files)).toEqual([]);
  });

  test('is warned of by every command that opens its model', async () => {
    const graph = graphOf(
      'graph g (input_ids: i64[1, 4])\n  words = gather(table f32[9, 2] #1, input_ids)\nreturn y: words',
    );
    const source = { yields: 'graph', path: 'm.onnx', graph, tokenizer: { config: left }, close: () => {} } as const;
    expect((await fromGraph({ ...source, config: undefined }, {})).warnings).toEqual(
      paddingSideWarnings({ config: left }),
    );
    const checkpoint = await openCheckpoint('bert-seqcls');
    const model = fromCheckpoint({ ...checkpoint, tokenizer: { config: left } }, {});
    expect(model.warnings).toEqual(paddingSideWarnings({ config: left }));
    model.close();
  });
});

describe('a model that came as a graph', () => {
  interface Wanted {
    readonly shape?: string;
    readonly outputs?: string;
    readonly path?: string;
  }

  function graphWith({ shape = 'batch, sequence', outputs = 'logits: sum' }: Wanted): Graph {
    return graphOf(`graph g (input_ids: i64[${shape}])
  words = gather(table f32[9, 2] #1, input_ids)
  sum = add(words, zero f32[] {0})
return ${outputs}`);
  }

  /** No tokenizer and no config lie beside the file. */
  const NOTHING_BESIDE = { tokenizer: {}, config: undefined } as const;
  let closed = 0;
  function opened(wanted: Wanted = {}, options: Parameters<typeof fromGraph>[1] = {}): Promise<OpenedModel> {
    const close = () => {
      closed++;
    };
    const source = { yields: 'graph', path: wanted.path ?? 'm.onnx', graph: graphWith(wanted), close } as const;
    return fromGraph({ ...source, ...NOTHING_BESIDE, labels: ['a', 'b'] }, options);
  }
  const shapeOf = (graph: Graph) => graph.inputs[0]?.type;
  const SEQUENCE_CLASSIFIER: JsonObject = new Map([['architectures', ['BertForSequenceClassification']]]);
  /** A graph with numbers for each token, `words`, and for each text, `pooled`. */
  function classifier(outputs: string, written: string | undefined, config: JsonObject | undefined) {
    const graph = graphOf(`graph g (input_ids: i64[batch, sequence])
  words = gather(table f32[9, 2] #1, input_ids)
  pooled = mean(words) {axis: 1, keepDims: false}
return ${outputs}`);
    const facts = new Map(written === undefined ? [] : [['mbert.task', written]]);
    const source = { yields: 'graph', path: 'm.onnx', graph, facts, close: () => {} } as const;
    return fromGraph({ ...source, tokenizer: {}, config }, {});
  }

  test.each<[string, 'onnx' | 'tflite', string, ShapeOptions, (string | number)[]]>([
    ['keeps for ONNX what nobody fixes', 'onnx', 'batch, sequence', {}, ['batch', 'sequence']],
    ['is fixed for TFLite', 'tflite', 'batch, sequence', {}, [1, 128]],
    ['is as long as the user says', 'onnx', 'batch, sequence', { sequenceLength: 16, batch: 4 }, [4, 16]],
    ['stays open for TFLite where the user says so', 'tflite', 'b, s', { sequenceLength: 'dynamic' }, [1, 's']],
    ['stays as it is fixed', 'tflite', '2, 24', {}, [2, 24]],
    ['may be asked for what it is', 'onnx', '2, 24', { sequenceLength: 24, batch: 2 }, [2, 24]],
    ['has four choices for TFLite', 'tflite', 'b, c, s', {}, [1, 4, 128]],
    [
      'has any number of choices for TFLite where the user says so',
      'tflite',
      'b, c, s',
      { choices: 'dynamic' },
      [1, 'c', 128],
    ],
    ['keeps any number of choices for ONNX', 'onnx', 'b, c, s', {}, ['b', 'c', 's']],
    ['has as many choices as the user says', 'onnx', 'b, c, s', { choices: 3 }, ['b', 3, 's']],
  ])('%s', async (_, target, shape, options, expected) => {
    const graph = (await opened({ shape })).build(target, options);
    expect(shapeOf(graph)).toEqual({ dtype: target === 'tflite' ? 'i32' : 'i64', shape: expected });
  });

  test.each<[ShapeOptions, string]>([
    [{ sequenceLength: 32 }, '--sequence-length: m.onnx is fixed to 24'],
    [{ sequenceLength: 'dynamic' }, '--sequence-length: m.onnx is fixed to 24'],
    [{ batch: 1 }, '--batch: m.onnx is fixed to 2'],
  ])('is not %j where it is fixed', async (options, message) => {
    const model = await opened({ shape: '2, 24' });
    expect(() => model.build('onnx', options)).toThrow(expect.objectContaining({ code: 'USAGE', message }));
  });

  test('is built anew at each call, and its reference has all symbols', async () => {
    const model = await opened();
    expect(model.build('onnx')).not.toBe(model.build('onnx'));
    expect(shapeOf(model.reference())?.shape).toEqual(['batch', 'sequence']);
  });

  test('warns once of what was left for one reason in every layer', async () => {
    const graph = graphOf(`graph g (input_ids: i64[batch, sequence])
  m = cast(input_ids) {to: bool}
  a = where(m, zero f32[] {0}, least f32[] {-Infinity})
  b = where(m, more f32[] {-Infinity}, none f32[] {0})
return a: a, b: b`);
    const source = { yields: 'graph', path: 'm.onnx', graph, ...NOTHING_BESIDE, close: () => {} } as const;
    const { warnings } = await fromGraph(source, {});
    expect(warnings).toEqual(['m.onnx: raise-attention-mask left a and 1 more: 0 times -Infinity is no number']);
  });

  test('answers questions where its outputs are called so', async () => {
    expect((await opened()).task).toBeUndefined();
    expect((await opened({ outputs: 'start_logits: sum' })).task).toBeUndefined();
    expect((await opened({ outputs: 'end_logits: sum, start_logits: sum' })).task).toBe('qa');
  });

  test.each<[string, string, string | undefined, JsonObject | undefined]>([
    ['by what mbert wrote', 'logits: pooled', 'sequence-classification', undefined],
    ['by the config beside it', 'any: pooled', undefined, SEQUENCE_CLASSIFIER],
  ])('classifies texts %s', async (_, outputs, written, config) => {
    expect((await classifier(outputs, written, config)).task).toBe('sequence-classification');
  });

  test.each<[string, string, string | undefined, JsonObject | undefined]>([
    ['of numbers for each token', 'logits: words', 'sequence-classification', SEQUENCE_CLASSIFIER],
    ['of two outputs', 'logits: pooled, more: pooled', 'sequence-classification', SEQUENCE_CLASSIFIER],
    ['that is said to be another', 'logits: pooled', 'next-sentence', SEQUENCE_CLASSIFIER],
    [
      'beside the config of another head',
      'logits: pooled',
      undefined,
      new Map([['architectures', ['BertForMultipleChoice']]]),
    ],
    ['of which nobody says what it is', 'logits: pooled', undefined, undefined],
  ])('classifies no texts: one %s', async (_, outputs, written, config) => {
    expect((await classifier(outputs, written, config)).task).toBeUndefined();
  });

  test('takes as many tokens as its table of positions has, or as it is fixed to', async () => {
    const graph = graphOf(`graph g (input_ids: i64[batch, sequence])
  words = gather(table f32[9, 2] #1, input_ids)
  cut = slice(positions f32[40, 2] #2) {axis: 0, end: sequence}
  sum = add(words, cut)
return logits: sum`);
    const source = { yields: 'graph', path: 'm.onnx', graph, ...NOTHING_BESIDE, close: () => {} } as const;
    expect((await fromGraph(source, {})).maxPositions).toBe(40);
    expect((await opened({ shape: '1, 24' })).maxPositions).toBe(24);
    expect((await opened()).maxPositions).toBe(Number.MAX_SAFE_INTEGER);
    // The default length of TFLite is no more than there are positions.
    expect(shapeOf((await fromGraph(source, {})).build('tflite'))?.shape).toEqual([1, 40]);
  });

  test('runs itself where a runtime takes its format', async () => {
    for (const path of ['a.onnx', 'b.TFLITE']) expect((await opened({ path })).runnable).toBe(path);
    for (const path of ['frozen.pb', 'onnx']) expect((await opened({ path })).runnable).toBeUndefined();
  });

  test('has the head and the mask that it has', async () => {
    await expect(opened({}, { task: 'qa' })).rejects.toMatchObject({
      code: 'USAGE',
      message: '--task: is for checkpoints, m.onnx is a graph already',
    });
    await expect(opened({}, { mask: 'strict' })).rejects.toMatchObject({ code: 'USAGE' });
    expect((await opened({}, { mask: 'faithful' })).labels).toEqual(['a', 'b']);
  });

  test('is closed with its file', async () => {
    const before = closed;
    (await opened()).close();
    expect(closed).toBe(before + 1);
  });
});

describe('a path is opened', () => {
  async function file(name: string): Promise<string> {
    const graph = graphOf(`graph g (input_ids: i64[batch, sequence])
  words = gather(table f32[9, 2] #1, input_ids)
return logits: words`);
    await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
    return join(folder, name);
  }

  test('with a task for whichever of two is a checkpoint', async () => {
    const path = await file('two.onnx');
    await expect(openModel(path, { task: 'features' })).rejects.toMatchObject({ code: 'USAGE' });
    const graph = await openOneOfTwo(path, 'features');
    expect(graph.task).toBeUndefined();
    graph.close();
    const checkpoint = await openOneOfTwo('fixtures/hf-seqcls', 'features');
    expect(checkpoint.task).toBe('features');
    checkpoint.close();
  });

  test('of a checkpoint has no runnable file, its own words and classes', async () => {
    const model = await openModel('fixtures/hf-seqcls');
    expect(model).toMatchObject({
      task: 'sequence-classification',
      architecture: 'mobilebert',
      maxPositions: 64,
      warnings: [],
    });
    expect(model.runnable).toBeUndefined();
    expect(model.tokenizer.vocabulary?.bytes.length).toBeGreaterThan(100);
    const input = (graph: Graph) => graph.inputs[0]?.type;
    expect(input(model.build('tflite'))).toEqual({ dtype: 'i32', shape: [1, 64] });
    expect(input(model.build('onnx', { batch: 'dynamic' }))).toEqual({ dtype: 'i64', shape: ['batch', 'sequence'] });
    expect(input(model.reference())).toEqual({ dtype: 'i64', shape: ['batch', 'sequence'] });
    model.close();
  });
});

describe('classes', () => {
  test('are numbers below their count, or names', () => {
    const read = classReader(3, ['no', 'yes', '1']);
    expect([read(0, 's'), read(2, 's'), read('yes', 's'), read('1', 's')]).toEqual([0, 2, 1, 2]);
    for (const label of [3, -1, 1.5, 'perhaps', '0'])
      expect(() => read(label, 'f: sample 4')).toThrow(
        expect.objectContaining({
          code: 'MISMATCH',
          message: `f: sample 4: label ${label}: is none of the model's 3 classes`,
          hint: 'they are 0 to 2, or no, yes, 1',
        }),
      );
    expect(() => classReader(2, undefined)('yes', 's')).toThrow(expect.objectContaining({ hint: 'they are 0 to 1' }));
  });

  test('are read for the task that finds them', () => {
    const graph = graphOf(`graph g (x: f32[1, 2])
  y = linear(x, w f32[4, 2] #1)
return logits: y`);
    const reader = (task: OpenedModel['task']) => classReaderOf({ task, labels: undefined } as OpenedModel, graph);
    expect(reader('sequence-classification')?.(3, 's')).toBe(3);
    expect(() => reader('sequence-classification')?.(4, 's')).toThrow(MbertError);
    expect(reader('token-classification')).toBeUndefined();
    expect(reader(undefined)).toBeUndefined();
  });

  test('are no classes of a regression, nor of a model of which several can be right', () => {
    const reader = (classes: number, logitsKind: OpenedModel['logitsKind']) =>
      classReaderOf(
        { task: 'sequence-classification', labels: undefined, logitsKind } as OpenedModel,
        graphOf(`graph g (x: f32[1, 2])
  y = linear(x, w f32[${classes}, 2] #1)
return logits: y`),
      );
    expect(reader(1, undefined)).toBeUndefined();
    expect(reader(2, 'regression')).toBeUndefined();
    expect(reader(2, 'multi-label')).toBeUndefined();
  });
});

describe('ends of layers', () => {
  const ends = (text: string) => layerEnds(graphOf(text).nodes()).map(({ name }) => name);

  test('are the last sum or norm of each layer, pooled values left out', () => {
    expect(
      ends(`graph g (x: f32[1, 3, 2])
  m.layer.0.first = add(x, x)
  m.layer.0.norm = layerNorm(m.layer.0.first, g f32[2] {1, 1}, h f32[2] {0, 0})
  m.layer.0.act = gelu(m.layer.0.norm)
  m.layer.1.sum = add(m.layer.0.act, x)
  taken = slice(m.layer.1.sum) {axis: 1, end: 1}
  pooled = reshape(taken) {shape: [1, 2]}
  m.layer.1.pooled = add(pooled, pooled)
  head = add(m.layer.1.sum, x)
return y: head, z: m.layer.1.pooled`),
    ).toEqual(['m.layer.0.norm', 'm.layer.1.sum']);
  });

  test('are those of one token where a layer computes no others', () => {
    expect(
      ends(`graph g (x: f32[1, 3, 2])
  m.layer.0.sum = add(x, x)
  taken = slice(m.layer.0.sum) {axis: 1, end: 1}
  first = reshape(taken) {shape: [1, 2]}
  m.layer.1.sum = add(first, first)
  m.layer.1.norm = layerNorm(m.layer.1.sum, g f32[2] {1, 1}, h f32[2] {0, 0})
return y: m.layer.1.norm`),
    ).toEqual(['m.layer.0.sum', 'm.layer.1.norm']);
  });

  test('are some of many sums where no name says a layer, the last one among them', () => {
    const sums = (count: number) => {
      const lines = Array.from({ length: count }, (_, i) => `  s${i + 1} = add(s${i}, one f32[2] {1, 1})`);
      return ends(`graph g (s0: f32[1, 3, 2])\n${lines.join('\n')}\nreturn y: s${count}`);
    };
    expect(sums(3)).toEqual(['s1', 's2', 's3']);
    expect(sums(24)).toHaveLength(24);
    const few = sums(50);
    expect(few).toHaveLength(17);
    expect([few[0], few.at(-1)]).toEqual(['s2', 's50']);
    expect(ends('graph g (x: f32[1, 3, 2])\n  y = relu(x)\nreturn y: y')).toEqual([]);
  });
});

describe('rows of a table', () => {
  const graph = graphOf(`graph g (input_ids: i64[1, 4], segment_ids: i32[1, 4])
  words = gather(table f32[20, 2] #1, input_ids)
  flat = reshape(input_ids) {shape: [4]}
  more = gather(second f32[30, 2] #2, flat)
  wide = cast(segment_ids) {to: i64}
  kinds = gather(third f32[2, 2] #3, wide)
  other = mul(flat, two i64[] {2})
  shifted = gather(fourth f32[5, 2] #4, other)
return a: words, b: more, c: kinds, d: shifted`);

  test('are those of the smallest that ids look up, as they are or in another form', () => {
    expect(tableRows(graph, 'input_ids')).toBe(20);
    expect(tableRows(graph, 'token_type_ids')).toBe(2);
  });

  test('are what is said otherwise where there is none', () => {
    expect(tableRows(graph, 'attention_mask')).toBe(1);
    expect(tableRows(graph, 'attention_mask', 100)).toBe(100);
  });
});

describe('a source in a runtime', () => {
  const graph = graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[9, 2] #1, input_ids)
return logits: words`);

  async function file(): Promise<string> {
    await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name: 'source.onnx' }));
    return join(folder, 'source.onnx');
  }
  const unsupported = new MbertError('UNSUPPORTED', 'runs fixed shapes only', { hint: 'fix them' });

  test('is the file itself, where a runtime takes it', async () => {
    const fake = useFakeRuntime();
    const { session, ...found } = await loadSource(await file(), graph, { threads: 3 });
    expect(found).toEqual({ runtime: 'onnxruntime 0.0', ran: 'file', refusal: undefined });
    expect(fake.loaded.map(({ options }) => options.threads)).toEqual([3]);
    await session.close();
  });

  test('is its graph, where there is no such file', async () => {
    useFakeRuntime();
    const { session, ...found } = await loadSource(undefined, graph);
    expect(found).toEqual({ runtime: 'onnxruntime 0.0', ran: 'graph', refusal: undefined });
    await session.close();
  });

  test('is its graph where the runtime refuses the file, and says why', async () => {
    const path = await file();
    useFakeRuntime(undefined, (loaded) => {
      if (loaded.path === path) throw unsupported;
    });
    const { session, ...found } = await loadSource(path, graph);
    expect(found).toMatchObject({ ran: 'graph', refusal: 'runs fixed shapes only' });
    await session.close();
  });

  test('is nothing where neither runs: the first refusal says what to do', async () => {
    const path = await file();
    useFakeRuntime(undefined, (loaded) => {
      throw loaded.path === path ? unsupported : new MbertError('UNSUPPORTED', 'nor the graph');
    });
    await expect(loadSource(path, graph)).rejects.toBe(unsupported);
  });

  test('is nothing where the file is damaged', async () => {
    const path = await file();
    const damage = new MbertError('MALFORMED', 'damaged');
    useFakeRuntime(undefined, () => {
      throw damage;
    });
    await expect(loadSource(path, graph)).rejects.toBe(damage);
  });
});

describe('a graph as plain data', () => {
  const graph = graphOf(`graph g (x: f32[1, 2], unused: f32[1])
  y = linear(x, w f32[2, 2] {1, -2, 3, 0.5}, b f32[2] {0, 1})
  z = add(y, b f32[2] {0, 1})
return out: z, same: y, constant: c f32[1] {4}`);

  test('has inputs before their readers, and each constant once', () => {
    const { nodes, weights, outputs } = outlineOf(graph);
    expect(nodes.map(({ name, op, inputs }) => [name, op, inputs])).toEqual([
      ['unused', 'input', []],
      ['x', 'input', []],
      ['y', 'linear', [1]],
      ['z', 'add', [2]],
    ]);
    expect(nodes[2]?.weights.map((place) => weights[place]?.name)).toEqual(['w', 'b']);
    expect(weights.find(({ name }) => name === 'w')).toEqual({
      name: 'w',
      type: 'f32[2, 2]',
      storage: 'f32',
      bytes: 16,
    });
    expect(outputs).toEqual([
      { name: 'out', node: 3 },
      { name: 'same', node: 2 },
      { name: 'constant', node: null },
    ]);
  });

  test('has the distributions of weights where they are asked for, as the numbers that integers stand for', () => {
    const stored = graphOf(`graph g (x: f32[1, 2])
  y = linear(x, w i8[2, 2] q(0.5, 1) {-3, 5, 1, 0})
  z = gather(ids i64[2] {0, 1}, at i64[1] {0})
return out: y, other: z`);
    const { weights } = outlineOf(stored, { values: true });
    const rangeOf = (values: Distribution | undefined) => values && [values.least, values.most];
    expect(weights.map(({ name, values, storage }) => [name, rangeOf(values), storage])).toEqual([
      ['w', [-2, 2], 'i8 per tensor'],
      ['ids', undefined, 'i64'],
      ['at', undefined, 'i64'],
    ]);
  });

  test('has the range that integers of one scale hold', () => {
    const limitsOf = (type: string) =>
      outlineOf(
        graphOf(`graph g (x: f32[1, 2])
  y = relu(x) ${type}
return out: y`),
        { values: true },
      ).nodes.find(({ op }) => op === 'relu')?.limits;
    expect(limitsOf('i8[1, 2] q(0.5, -128)')).toEqual([0, 127.5]);
    expect(limitsOf('u8[1, 2] q(0.25, 128)')).toEqual([-32, 31.75]);
    expect(limitsOf('f32[1, 2]')).toBeUndefined();
  });
});
