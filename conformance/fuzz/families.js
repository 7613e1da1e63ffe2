// What is mutated, how, and which command lines it is given to: a row for each family of formats.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { mutateFlatbuffer } from './mutators/flatbuffer.js';
import { mutateHdf5 } from './mutators/hdf5.js';
import { mutateJson } from './mutators/json.js';
import { mutateLeveldb } from './mutators/leveldb.js';
import { mutatePickle } from './mutators/pickle.js';
import { mutateProtobuf } from './mutators/protobuf.js';
import { mutateNpy, mutateTfrecord } from './mutators/records.js';
import { mutateSafetensors } from './mutators/safetensors.js';
import { mutateText } from './mutators/text.js';
import { mutateZip } from './mutators/zip.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures', import.meta.url));

/** @typedef {(good: Buffer, random: import('./random.js').Random) => Buffer} Mutate */
/** @typedef {(place: { path: string, folder: string, output: string }) => readonly string[]} CommandLine */
/**
 * @typedef {object} Base
 * @property {() => Map<string, Buffer>} files files of a sound input by their names in its folder
 * @property {RegExp} target names of those that are mutated, one at a time
 * @property {Mutate} mutate
 * @property {readonly CommandLine[]} lines one of them is run
 * @property {string} [source] what the command line gets in place of the folder
 * @property {RegExp} [refusal] why the sound input is refused after it was read, where it is
 */

/** @type {Mutate} */
const mutateTorch = (good, random) => mutateZip(good, random, (_, bytes) => mutatePickle(bytes, random));
/** @type {Mutate} */
const mutateNpz = (good, random) => mutateZip(good, random, (_, bytes) => mutateNpy(bytes, random));

/** What a model of integers is given to. @type {readonly CommandLine[]} */
const READ = [
  ({ path, output }) => ['convert', path, '-o', join(output, 'model.onnx')],
  ({ path, output }) => ['convert', path, '-o', join(output, 'model.tflite')],
  ({ path, output }) => ['convert', path, '-o', join(output, 'model.onnx'), '--dtype', 'f16'],
  ({ path }) => ['inspect', path, '--json'],
  ({ path }) => ['inspect', path, '--graph'],
  ({ path }) => ['diff', path, path, '--json'],
];
/** What a model of floats is given to. @type {readonly CommandLine[]} */
const MODEL = [
  ...READ,
  ({ path, output }) => ['quantize', path, '-o', join(output, 'model.tflite'), '--scheme', 'dynamic', '--no-scan'],
];

/** @param {string} folder a folder of fixtures, its oracle left out @param {string} [inner] */
function fixture(folder, inner = '.') {
  const root = join(FIXTURES, folder, inner);
  return lazy(() => {
    const files = new Map();
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
      if (
        /^(inputs|expected|manifest\.json|input_|expected_|golden)/.test(name) ||
        !statSync(join(root, name)).isFile()
      )
        continue;
      const bytes = readFileSync(join(root, name));
      files.set(relative('.', name.replace(/\.gz$/, '')), name.endsWith('.gz') ? gunzipSync(bytes) : bytes);
    }
    return files;
  });
}

/** @template T @param {() => T} make */
function lazy(make) {
  /** @type {T | undefined} */
  let made;
  return () => {
    made ??= make();
    return made;
  };
}

/** @param {readonly string[]} folders @param {RegExp} target @param {Mutate} mutate @param {readonly CommandLine[]} lines @returns {Base[]} */
function models(folders, target, mutate, lines = MODEL) {
  return folders.map((folder) => {
    const [name = '', inner] = folder.split('//');
    return { files: fixture(name, inner), target, mutate, lines };
  });
}

/** Texts that commands take beside a model, with what reads them. @param {Readonly<Record<string, string>>} files @param {Mutate} mutate @param {readonly CommandLine[]} lines @returns {Base[]} */
function texts(files, mutate, lines) {
  return Object.entries(files).map(([name, text]) => ({
    files: () => new Map([[name, Buffer.from(text)]]),
    target: /./,
    mutate,
    lines,
    source: name,
  }));
}

const MINI = join(FIXTURES, 'mini-qa');
const MINI_ONNX = join(FIXTURES, 'mini-onnx-qa', 'model.onnx');
const CLASSIFIER = join(FIXTURES, 'hf-seqcls');

/** @type {CommandLine} */
const verifyData = ({ path }) => [
  'verify',
  MINI_ONNX,
  '--against',
  MINI_ONNX,
  '--data',
  path,
  '--samples',
  '2',
  '--json',
];

/** Running models takes a hundred times as long as reading texts. @type {readonly CommandLine[]} */
const READ_SAMPLES = [...Array(9).fill((/** @type {{ path: string }} */ { path }) => ['samples', path]), verifyData];

const REPORTS = readdirSync(FIXTURES).filter(
  (name) =>
    name.startsWith('report-') &&
    !name.startsWith('report-b3') &&
    readdirSync(join(FIXTURES, name)).some((file) => /^m\.onnx/.test(file)),
);
const TOKENIZERS = readdirSync(join(FIXTURES, 'tokenizers'));

/** @type {Readonly<Record<string, () => readonly Base[]>>} */
export const FAMILIES = {
  safetensors: () =>
    models(
      ['mini-qa', 'mini-qa-sharded', 'hf-seqcls', 'distilbert-seqcls'],
      /\.safetensors$|\.index\.json$/,
      (good, random) => (good[0] === 123 ? mutateJson(good, random) : mutateSafetensors(good, random)),
    ),
  onnx: () => [
    ...models(['mini-onnx-qa', 'onnx-qa-external'], /\.onnx$/, mutateProtobuf),
    ...models(['onnx-qa-qdq', 'onnx-qa-qoperator', 'onnx-qa-dynquant', ...REPORTS], /\.onnx$/, mutateProtobuf, READ),
  ],
  tflite: () => [
    ...models(['mini-tflite-qa', 'tflite-electra-seqcls'], /\.tflite$/, mutateFlatbuffer),
    ...models(
      ['tflite-qa-dynamic', 'tflite-qa-int8', 'report-c7-blockwise-embedding'],
      /\.tflite$/,
      mutateFlatbuffer,
      READ,
    ),
  ],
  tensorflow: () => [
    ...models(
      [
        'savedmodel-tf1-seqcls//saved_model',
        'savedmodel-albert-seqcls//saved_model',
        'report-c6-batchmatmul-broadcast//sm',
        'graphdef-qa',
      ],
      /\.pb$/,
      mutateProtobuf,
    ),
    ...models(
      ['mini-tf1-qa', 'savedmodel-tf1-seqcls//saved_model', 'tf1-mobilebert-tiny-qa'],
      /\.index$/,
      mutateLeveldb,
    ),
  ],
  tfjs: () =>
    models(['mini-tfjs-qa//tfjs', 'tfjs-roberta-seqcls//tfjs', 'tfjs-qa-uint8//tfjs'], /model\.json$/, mutateJson),
  pytorch: () => [
    ...models(['mini-qa-bin', 'hf-qa-bin-strided'], /\.bin$/, mutateTorch),
    ...models(['mini-qa-legacy'], /\.bin$/, mutatePickle),
  ],
  keras: () => models(['mini-h5-qa'], /\.h5$/, mutateHdf5),
  configs: () =>
    models(
      [
        'mini-qa',
        'hf-seqcls',
        'distilbert-seqcls',
        'family-st-mean-norm',
        'family-modernbert-seqcls',
        'family-deberta-v2-seqcls',
      ],
      /config.*\.json$|modules\.json$/,
      mutateJson,
    ),
  tokenizers: () => [
    ...TOKENIZERS.map((name) => ({
      files: fixture(join('tokenizers', name)),
      target: /\.(json|txt)$/,
      mutate: (/** @type {Buffer} */ good, /** @type {import('./random.js').Random} */ random) =>
        good[0] === 123 ? mutateJson(good, random) : mutateText(good, random),
      lines: [({ path }) => ['tokenize', path]],
    })),
    ...texts({ 'vocab.txt': readFileSync(join(MINI, 'vocab.txt'), 'utf8') }, mutateText, [
      ({ path, output }) => ['convert', MINI, '-o', join(output, 'model.tflite'), '--vocab', path],
    ]),
  ],
  samples: () => [
    ...texts(
      {
        'lines.txt': 'one two\nthree four\nfive\n',
        'pairs.tsv': 'sentence1\tsentence2\tlabel\na b\tc d\t1\ne\tf "g\t0\n',
        'rows.csv': 'text,label\n"a, ""b""",1\n"c\nd",0\n',
      },
      mutateText,
      READ_SAMPLES,
    ),
    ...texts(
      {
        'rows.json': '[{"text":"a b","label":1},{"text":"c","label":0}]',
      },
      mutateJson,
      READ_SAMPLES,
    ),
    ...texts(
      {
        'squad.json':
          '{"data":[{"paragraphs":[{"context":"a b c d","qas":[{"id":"1","question":"what","answers":[{"text":"b","answer_start":2}]}]}]}]}',
      },
      mutateJson,
      [verifyData],
    ),
    ...texts({ 'rows.jsonl': '{"text":"a b","label":1}\n{"text":"c","label":0}\n' }, mutateText, READ_SAMPLES),
    {
      files: () => new Map([['stored.npz', readFileSync(join(FIXTURES, 'samples', 'stored.npz'))]]),
      target: /./,
      mutate: mutateNpz,
      lines: [verifyData],
      source: 'stored.npz',
    },
    {
      files: () => new Map([['squad.tfrecord', readFileSync(join(FIXTURES, 'samples', 'squad-3.tfrecord'))]]),
      target: /./,
      mutate: mutateTfrecord,
      lines: [verifyData],
      source: 'squad.tfrecord',
      refusal: /is none of the model's/,
    },
  ],
  own: () => [
    ...texts(
      {
        'recipe.json':
          '[{"match":"layer\\\\.0","op":"linear","scheme":"float"},{"match":"embedd","scheme":"w8","granularity":"channel"},{"match":".*","op":"linear","scheme":"dynamic","rounding":"nearest"}]',
      },
      mutateJson,
      [
        ({ path, output }) => [
          'quantize',
          MINI,
          '-o',
          join(output, 'model.onnx'),
          '--scheme',
          'dynamic',
          '--no-scan',
          '--recipe',
          path,
        ],
      ],
    ),
    ...texts({ 'layers.json': '{"0":0,"1":1}' }, mutateJson, [
      ({ path }) => ['verify', MINI, '--against', MINI, '--layers', path, '--samples', '1', '--json'],
    ]),
    ...texts(
      {
        'jobs.jsonl':
          '{"name":"a","command":"inspect","args":["a","-o","b"]}\n{"name":"b","command":"convert","args":["c","-o","d"]}\n',
      },
      mutateText,
      [({ path, output }) => ['batch', path, '--summary', '--results', output]],
    ),
    ...texts(
      { 'mbert.config.json': '{"inspect":{"json":true,"passes":["fuse-linear"]},"convert":{"dtype":"f16"}}' },
      mutateJson,
      [() => ['inspect', MINI]],
    ),
    ...texts({ 'labels.txt': 'negative\npositive\nother\n' }, mutateText, [
      ({ path, output }) => ['convert', CLASSIFIER, '-o', join(output, 'model.tflite'), '--labels', path],
    ]),
    ...texts({ 'graph.lock': 'graph g (x: f32[4])\n  y = gelu(x)\nreturn out: y\n' }, mutateText, [
      ({ path }) => ['diff', path, path, '--json'],
    ]),
  ],
};
