import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Source } from '../../src/importers/importer.ts';
import { openSource } from '../../src/importers/index.ts';
import type { Tensor } from '../../src/ir/tensor.ts';
import { buildModel } from '../../src/models/index.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { tensorsOf, writeSafetensors } from './safetensors-file.ts';

const root = temporaryFolder();
let folders = 0;

function newFolder(...parts: readonly string[]): string {
  const folder = join(root, `${folders++}`, ...parts);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function copyOf(fixture: string, folder = newFolder()): string {
  cpSync(unpacked(`fixtures/${fixture}`), folder, { recursive: true });
  return folder;
}

/** What was decided while a source was opened. */
async function notesOf(path: string): Promise<readonly string[]> {
  const source: Source = await openSource(path);
  if (source.yields === 'graph') source.close();
  else source.checkpoint.close();
  return source.yields === 'graph' ? (source.notes ?? []) : source.checkpoint.notes;
}

describe('a folder without a model', () => {
  test('is read from the only folder below that has one', async () => {
    const folder = newFolder();
    copyOf('family-v-peft-base', join(folder, 'checkpoint-500'));
    mkdirSync(join(folder, 'runs'));
    expect(await notesOf(folder)).toEqual([`${folder}: the model in its checkpoint-500 is read`]);
  });

  test('with several below is refused with their names', async () => {
    const folder = newFolder();
    for (const name of ['checkpoint-500', 'checkpoint-1000']) copyOf('family-v-peft-base', join(folder, name));
    await expect(openSource(folder)).rejects.toMatchObject({
      code: 'UNKNOWN_FORMAT',
      message: `${folder}: holds no model itself, but checkpoint-1000 and checkpoint-500 do`,
      hint: `name one of them: ${join(folder, 'checkpoint-500')}`,
    });
  });

  test('with none below is refused', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'empty'));
    await expect(openSource(folder)).rejects.toThrow(`${folder}: holds no model that mbert knows`);
  });
});

describe("a hub's cache", () => {
  /** A cache as huggingface_hub makes it: snapshots of links into blobs. */
  function cache(hashes: readonly string[], main: string): string {
    const folder = newFolder('models--acme--tiny');
    const files = copyOf('family-v-peft-base');
    const names = ['config.json', 'model.safetensors'];
    // Blobs are called by their hashes, which tell nothing.
    mkdirSync(join(folder, 'blobs'));
    for (const [i, name] of names.entries()) renameSync(join(files, name), join(folder, 'blobs', `${i}`));
    for (const hash of hashes) {
      const snapshot = join(folder, 'snapshots', hash);
      mkdirSync(snapshot, { recursive: true });
      for (const [i, name] of names.entries()) symlinkSync(join('..', '..', 'blobs', `${i}`), join(snapshot, name));
    }
    mkdirSync(join(folder, 'refs'));
    writeFileSync(join(folder, 'refs', 'main'), main);
    return folder;
  }

  test('is read through its links', async () => {
    const folder = cache(['abc'], 'abc');
    expect(await notesOf(join(folder, 'snapshots', 'abc'))).toEqual([]);
    expect(await notesOf(folder)).toEqual([
      `${folder}: the model in its snapshots is read`,
      `${join(folder, 'snapshots')}: the model in its abc is read`,
    ]);
  });

  test('of several revisions is read as its main one', async () => {
    const folder = cache(['abc', 'def'], 'def');
    expect((await notesOf(folder)).at(-1)).toBe(`${join(folder, 'snapshots')}: the model in its def is read`);
  });
});

test('a folder of several formats says which one is read', async () => {
  const folder = copyOf('family-v-peft-base');
  writeFileSync(join(folder, 'pytorch_model.bin'), 'not read');
  writeFileSync(join(folder, 'tf_model.h5'), 'not read');
  expect(await notesOf(folder)).toEqual([
    `${folder}: model.safetensors is read, pytorch_model.bin and tf_model.h5 beside it are not`,
  ]);
});

test('states of training beside a checkpoint are no models', async () => {
  const folder = copyOf('family-v-peft-base');
  for (const name of ['optimizer.pt', 'scheduler.pt', 'rng_state.pth', 'training_args.bin']) {
    writeFileSync(join(folder, name), 'state');
  }
  expect(await notesOf(folder)).toEqual([]);
});

describe('a graph in a folder onnx/', () => {
  function hub(): string {
    const folder = newFolder();
    copyOf('family-pool--ts-static', join(folder, 'onnx'));
    writeFileSync(join(folder, 'config.json'), '{}');
    writeFileSync(join(folder, 'vocab.txt'), '[PAD]\n[UNK]\n');
    return folder;
  }

  test('has the vocabulary of the folder above', async () => {
    const source = await openSource(join(hub(), 'onnx', 'model.onnx'));
    if (source.yields !== 'graph') throw new Error('it is a checkpoint');
    expect(new TextDecoder().decode(source.tokenizer.vocabulary?.bytes)).toBe('[PAD]\n[UNK]\n');
    source.close();
  });

  test('is found from the folder above', async () => {
    const folder = hub();
    expect(await notesOf(folder)).toEqual([`${folder}: the model in its onnx is read`]);
  });
});

test('a graph of an encoder alone tells of the modules behind it', async () => {
  const folder = copyOf('onnx-features-optimum');
  cpSync('fixtures/family-st-mean-norm/modules.json', join(folder, 'modules.json'));
  expect(await notesOf(folder)).toEqual([
    `${folder}/modules.json: its modules are not in the graph: the file gives vectors of tokens, the checkpoint gives embeddings`,
  ]);
});

test.each([
  ['sentence-transformers/all-MiniLM-L6-v2', 'all-MiniLM-L6-v2'],
  ['bert-base-uncased', 'bert-base-uncased'],
  ['bge-small-en-v1.5', 'bge-small-en-v1.5'],
])('a name of the hub that is no path gets the command that fetches it: %s', async (path, folder) => {
  await expect(openSource(path)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: `fetch a model of the Hugging Face hub first: hf download ${path} --local-dir ${folder}`,
  });
});

test.each(['./nowhere', '../nowhere', 'a/b/c', 'nowhere/', 'nowhere.onnx', 'models/nowhere.TFLITE'])(
  'a path that is not there gets none: %s',
  async (path) => {
    await expect(openSource(path)).rejects.toMatchObject({ code: 'NOT_FOUND', hint: undefined });
  },
);

describe('names that a wrapper has changed', () => {
  /** A checkpoint whose names are changed, with what is said of them. */
  async function renamed(change: (name: string) => string, more: Iterable<readonly [string, Tensor]> = []) {
    const folder = copyOf('family-v-peft-base');
    const path = join(folder, 'model.safetensors');
    const tensors = tensorsOf(path);
    const names = tensors.map(([name]) => name);
    writeSafetensors(path, [...tensors.map(([name, tensor]) => [change(name), tensor] as const), ...more]);
    const source = await openSource(folder);
    if (source.yields !== 'checkpoint') throw new Error('it is a graph');
    const { checkpoint } = source;
    onTestFinished(checkpoint.close);
    const notes = checkpoint.notes.map((note) => note.replace(`${path}: `, ''));
    return { checkpoint, notes, names, found: [...checkpoint.tensors.keys()] };
  }

  test.each([
    ['module.', 'module.: taken from the names, as DataParallel puts it there'],
    ['_orig_mod.', '_orig_mod.: taken from the names, as torch.compile puts it there'],
    ['model.', "model.: taken from the names, as Lightning's or another module around the model puts it there"],
  ])('%s is taken from all of them', async (prefix, note) => {
    const { names, found, notes } = await renamed((name) => `${prefix}${name}`);
    expect([found, notes]).toEqual([names, [note]]);
  });

  test('several prefixes are taken one after the other', async () => {
    const { names, found, notes } = await renamed((name) => `model._orig_mod.${name}`);
    expect([found, notes.length]).toEqual([names, 2]);
  });

  test('a prefix that some do not have stays', async () => {
    const { found, notes } = await renamed((name) => (name.startsWith('bert.') ? `model.${name}` : name));
    expect(notes).toEqual([]);
    expect(found).toContain('model.bert.pooler.dense.weight');
  });

  test('an encoder beside a head of its own is read with the head as classifier, for the task that is asked for', async () => {
    const { checkpoint, notes, found } = await renamed((name) =>
      name.replace(/^bert\./, 'encoder.').replace(/^classifier\./, 'fc.'),
    );
    expect(found).toContain('classifier.weight');
    expect(found).toContain('encoder.layer.0.output.dense.weight');
    expect(notes).toEqual([
      'encoder.: taken from the names of the encoder, as a module around it puts it there',
      "fc: read as the classifier, on what transformers' classifiers read",
    ]);
    const config = new Map(checkpoint.config);
    config.delete('architectures');
    const options = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;
    expect(() => buildModel({ ...checkpoint, config }, options)).toThrow('the weights fit several tasks');
    const { unused } = buildModel({ ...checkpoint, config }, { ...options, task: 'sequence-classification' });
    expect(unused).toEqual([]);
  });
});

test('code of its own that a config names is told', async () => {
  const folder = copyOf('family-v-peft-base');
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      model_type: 'bert',
      auto_map: { AutoConfig: 'a.Config', AutoModel: 'modeling_custom.BertModel' },
    }),
  );
  expect(await notesOf(folder)).toEqual([
    `${folder}/config.json: auto_map: names code of its own, "modeling_custom.BertModel": what transformers computes for a model of type bert is built`,
  ]);
});

describe('a sentence-transformers folder', () => {
  const FIXTURE = 'family-st-mean-norm';

  async function opened(folder: string) {
    const source = await openSource(folder);
    if (source.yields !== 'checkpoint') throw new Error('it is a graph');
    source.checkpoint.close();
    return source.checkpoint;
  }

  function withModules(modules: unknown): string {
    const folder = copyOf(FIXTURE);
    writeFileSync(join(folder, 'modules.json'), JSON.stringify(modules));
    return folder;
  }

  test('holds its modules in order, with their configs', async () => {
    const { moduleChain } = await opened(copyOf(FIXTURE));
    expect(moduleChain?.modules.map(({ path, config }) => [path, config.get('pooling_mode')])).toEqual([
      ['', undefined],
      ['1_Pooling', 'mean'],
      ['2_Normalize', undefined],
    ]);
  });

  test('of the early layout has the encoder in a folder of its own', async () => {
    const folder = copyOf(FIXTURE);
    mkdirSync(join(folder, '0_Transformer'));
    for (const name of ['config.json', 'model.safetensors', 'sentence_bert_config.json']) {
      renameSync(join(folder, name), join(folder, '0_Transformer', name));
    }
    const modules = [
      { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
      { idx: 0, name: '0', path: '0_Transformer', type: 'sentence_transformers.models.Transformer' },
    ];
    writeFileSync(join(folder, 'modules.json'), JSON.stringify(modules));
    const { moduleChain, notes } = await opened(folder);
    expect(moduleChain?.modules.map(({ path }) => path)).toEqual(['0_Transformer', '1_Pooling']);
    expect(notes).toEqual([`${folder}: the model in its 0_Transformer is read`]);
    expect((await opened(join(folder, '0_Transformer'))).moduleChain?.modules.length).toBe(2);
  });

  test('beside another model is none of its', async () => {
    const folder = copyOf(FIXTURE);
    copyOf('family-v-peft-base', join(folder, 'other'));
    expect((await opened(join(folder, 'other'))).moduleChain).toBeUndefined();
  });

  test('with a module in another folder is refused, and nothing there is opened', async () => {
    const folder = withModules([
      { idx: 0, path: '', type: 'sentence_transformers.models.Transformer' },
      { idx: 1, path: '../1_Pooling', type: 'sentence_transformers.models.Pooling' },
    ]);
    await expect(opened(folder)).rejects.toThrow('"../1_Pooling" leaves the model\'s folder');
  });

  test.each([
    ['an object', { modules: [] }, 'is an object, not a list of modules'],
    ['nothing', [], 'is an array, not a list of modules'],
    ['a name', [{ idx: 0, path: '' }], 'module 0: has no type or path'],
    ['too many', new Array(33).fill({ idx: 0, path: '', type: 'a.B' }), 'lists 33 modules, more than 32'],
  ])('whose list is %s is refused', async (_, modules, message) => {
    await expect(opened(withModules(modules))).rejects.toThrow(message);
  });

  test('without a config of a module takes defaults, and one that is no object is refused', async () => {
    const folder = copyOf(FIXTURE);
    rmSync(join(folder, '2_Normalize'), { recursive: true });
    expect((await opened(folder)).moduleChain?.modules.at(-1)?.config.size).toBe(0);
    writeFileSync(join(folder, '1_Pooling', 'config.json'), '[]');
    await expect(opened(folder)).rejects.toThrow(/1_Pooling.config\.json: is an array, not a JSON object/);
  });

  test("names SetFit's classifier as what is not converted", async () => {
    const folder = copyOf(FIXTURE);
    writeFileSync(join(folder, 'model_head.pkl'), '');
    expect((await opened(folder)).notes).toEqual([
      `${folder}/model_head.pkl: SetFit's classifier is not converted: the file gives the embedding that it reads`,
    ]);
  });
});
