import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { errorReport } from '../../src/commands/error-json.ts';
import { MbertError } from '../../src/errors.ts';
import { problemsOf, type Schema } from '../diff/json-schema.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const SOURCE = 'fixtures/hf-seqcls';
const TEXTS = path('texts.txt');
const schemaOf = (name: string): Schema => JSON.parse(readFileSync(`schemas/${name}.schema.json`, 'utf8'));

/** Command lines by the schema of what they print. */
const CALLS: readonly (readonly [schema: string, ...argv: string[]])[] = [
  ['convert', 'convert', SOURCE, '-o', path('c.onnx'), '--verify', '--time-passes', '--sequence-length', '16'],
  [
    'convert',
    'convert',
    SOURCE,
    '-o',
    path('n.tflite'),
    '--passes',
    'split-embedding',
    '--embedding-rank',
    '8',
    '--data',
    TEXTS,
  ],
  [
    'quantize',
    'quantize',
    SOURCE,
    '-o',
    path('q.onnx'),
    '--scheme',
    'int8',
    '--calibrate',
    TEXTS,
    '--samples=16',
    '--sequence-length',
    '16',
  ],
  ['quantize', 'quantize', SOURCE, '-o', path('d.tflite'), '--scheme', 'dynamic', '--sequence-length', '16'],
  ['verify', 'verify', path('q.onnx'), '--against', SOURCE, '--samples', '4', '--lint'],
  ['verify', 'verify', path('q.onnx'), '--against', SOURCE, '--samples=4', '--data', TEXTS, '--views', 'full,masked'],
  ['verify', 'verify', path('d.tflite'), '--lint'],
  ['bench', 'bench', path('c.onnx'), path('q.onnx'), '--runs', '2', '--warmup', '0', '--no-memory', '--profile'],
  [
    'bench',
    'bench',
    path('c.onnx'),
    '--runs',
    '1',
    '--warmup',
    '0',
    '--no-memory',
    '--data',
    TEXTS,
    `--vocab=${SOURCE}/vocab.txt`,
  ],
  ['inspect', 'inspect', SOURCE],
  ['inspect', 'inspect', path('d.tflite')],
  ['inspect', 'inspect', path('q.onnx')],
  ['xnnpack', 'inspect', path('d.tflite'), '--delegate', 'xnnpack'],
  ['onnxruntime', 'inspect', path('q.onnx'), '--delegate', 'onnxruntime'],
  ['passes', 'passes'],
  ['explain', 'passes', '--explain', 'fuse-linear', path('q.onnx')],
  ['diff', 'diff', SOURCE, path('q.onnx')],
  ['folder', 'convert', SOURCE, '-o', path('forms/'), '--forms', 'f32,dynamic', '--sequence-length', '16'],
  [
    'folder',
    'convert',
    'fixtures/minilm-features',
    '-o',
    path('web'),
    '--layout',
    'transformers.js',
    '--forms',
    'w4',
    '--calibrate',
    TEXTS,
    '--samples=16',
    '--sequence-length',
    '16',
  ],
  ['compare', 'compare', path('c.onnx'), path('q.onnx'), '--against', SOURCE, '--runs', '2'],
  [
    'extract',
    'extract',
    'fixtures/bert-seqcls',
    '-o',
    path('student'),
    '--shape',
    path('shape.json'),
    '--method',
    'random',
  ],
  [
    'distill',
    'distill',
    'fixtures/bert-seqcls',
    '--teacher',
    'fixtures/bert-seqcls',
    '--texts',
    TEXTS,
    '--steps',
    '2',
    '-o',
    path('distilled'),
    '--layer-map',
    '1:1',
    '--checkpoint-every',
    '1',
    '--report',
    path('distilled.html'),
  ],
  [
    'search',
    'search',
    'fixtures/bert-seqcls',
    '-o',
    path('students'),
    '--calibrate',
    TEXTS,
    '--samples=24',
    '--forms=f32',
    '--budgets=260kB,9kB',
  ],
  [
    'extract',
    'extract',
    'fixtures/bert-seqcls',
    '-o',
    path('mobile'),
    '--shape',
    path('mobile.json'),
    '--method=random',
    '--calibrate',
    TEXTS,
    '--samples=24',
  ],
  [
    'map-layers',
    'map-layers',
    'fixtures/bert-seqcls',
    'fixtures/bert-seqcls',
    '--calibrate',
    TEXTS,
    '--samples=24',
    '--method=genetic',
  ],
  ['batch', 'batch', path('jobs.jsonl'), '--summary'],
];

describe('what is printed with --json', () => {
  const printed: { readonly schema: string; readonly json: object }[] = [];

  beforeAll(async () => {
    const lines = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n');
    writeFileSync(TEXTS, lines.slice(0, 64).join('\n'));
    writeFileSync(path('shape.json'), '{"num_hidden_layers": 1}');
    const sizes = { num_hidden_layers: 1, intra_bottleneck_size: 12, num_attention_heads: 1, intermediate_size: 8 };
    writeFileSync(path('mobile.json'), JSON.stringify(sizes));
    const job = { name: 'lint', command: 'inspect', args: [SOURCE] };
    writeFileSync(path('jobs.jsonl'), JSON.stringify(job));
    for (const [schema, ...argv] of CALLS) {
      const { out } = await runCommand(folder, ...argv, '--json');
      printed.push({ schema, json: JSON.parse(out) });
    }
  }, 120_000);

  test.each(CALLS.map(([schema, ...argv], i) => [i, schema, argv.slice(0, 2).join(' ')] as const))(
    '%i is as schemas/%s.schema.json says: %s',
    (i, schema) => {
      const { json } = printed[i] as { json: object };
      expect(problemsOf(json, schemaOf(schema))).toEqual([]);
      expect(problemsOf({ ...json, version: 2 }, schemaOf(schema))).not.toEqual([]);
      const first = Object.keys(json).at(-1) as string;
      expect(problemsOf({ ...json, [first]: 'other' }, schemaOf(schema))).not.toEqual([]);
    },
  );

  test('says which ONNX Runtime a folder of 4-bit weights asks for, and nothing of how it was measured', () => {
    const i = CALLS.findIndex((argv) => argv.includes('transformers.js'));
    const { json } = printed[i] as { json: object };
    const { results } = json as { results: object[] };
    expect(results).toMatchObject([{ form: 'w4', needs: { operators: ['MatMulNBits'], onnxruntime: '1.20' } }]);
    for (const name of ['proof', 'scan', 'rounding', 'biasCorrection', 'pareto'])
      expect(results[0]).not.toHaveProperty(name);
  });

  test.each(['convert', 'quantize', 'folder'])('schemas/%s.schema.json knows what calibrated passes note', (name) => {
    const schema = schemaOf(name);
    const pass = { name: 'smooth-tokens', rewrites: 1, declined: [], notes: ['dense: 8 channels'] };
    expect(problemsOf(pass, { $ref: '#/$defs/PassSummary' }, schema)).toEqual([]);
    expect(problemsOf({ ...pass, notes: [1] }, { $ref: '#/$defs/PassSummary' }, schema)).not.toEqual([]);
  });

  test('has the path of what a job wrote, and the bytes of a file', () => {
    const problems = (output: object) => {
      const job = { name: 'a', outcome: 'ok', exitCode: 0, seconds: 1, outputs: [output] };
      return problemsOf({ version: 1, folder: 'f', jobs: [job] }, schemaOf('batch'));
    };
    expect(problems({ path: 'a.onnx', bytes: 12 })).toEqual([]);
    expect(problems({ path: 'a', bytes: null })).toEqual([]);
    expect(problems({ path: 'a.onnx', bytes: 1.5 })).not.toEqual([]);
    expect(problems({ path: 'a.onnx' })).toEqual(['$.jobs[0].outputs[0]: lacks bytes']);
    for (const name of ['sha256', 'size']) {
      const problem = `$.jobs[0].outputs[0]: has an unknown ${name}`;
      expect(problems({ path: 'a.onnx', bytes: 12, [name]: 12 })).toEqual([problem]);
    }
  });

  test('has a schema for everything', () => {
    const schemas = readdirSync('schemas').filter((name) => name.endsWith('.schema.json'));
    const others = ['error.schema.json', 'mbert.schema.json'];
    const used = new Set([...CALLS.map(([schema]) => `${schema}.schema.json`), ...others]);
    expect(schemas).toEqual([...used].sort());
  });
});

describe('a failure with --json', () => {
  test.each<[string, string[], number, object]>([
    [
      'names file, part and problem',
      ['quantize', SOURCE, '-o', path('x.onnx'), '--scheme', 'int8', '--calibrate', path('bad.csv'), '--json'],
      2,
      {
        code: 'MALFORMED',
        file: '<tmp>/bad.csv',
        part: 'line 1',
        problem: 'is a header without a text column: a and b',
        hint: '--text NAME, --pair NAME and --label NAME say which columns to read',
      },
    ],
    ['names a flag', ['convert', SOURCE, '-o', '-', '--json'], 2, { code: 'USAGE', file: null, part: '--output -' }],
    [
      'names a file that is not there',
      ['diff', 'no/such.onnx', SOURCE, '--format', 'json'],
      2,
      { code: 'NOT_FOUND', file: 'no/such.onnx', part: 'cannot be read', problem: 'does not exist' },
    ],
    [
      'is of the command line',
      ['inspect', '--json'],
      2,
      { code: 'USAGE', problem: "missing required argument 'model'" },
    ],
  ])('%s', async (_, argv, code, error) => {
    writeFileSync(path('bad.csv'), 'a,b\n1,2\n');
    const result = await runCommand(folder, ...argv);
    const json = JSON.parse(result.out);
    expect(result.code).toBe(code);
    expect(json).toMatchObject({ version: 1, error });
    expect(problemsOf(json, schemaOf('error'))).toEqual([]);
    expect(result.err).toContain(json.error.problem);
  });

  test('takes a message apart, whatever it holds', () => {
    const report = (message: string) => errorReport(new MbertError('USAGE', message), ['m.onnx']);
    expect(report('m.onnx: add: 3: bad')).toMatchObject({ file: 'm.onnx', part: 'add', problem: '3: bad' });
    expect(report('m.onnx: bad')).toMatchObject({ file: 'm.onnx', part: null, problem: 'bad' });
    expect(report('--softmax: bad')).toMatchObject({ file: null, part: '--softmax', problem: 'bad' });
    expect(report('bad')).toMatchObject({ file: null, part: null, problem: 'bad', message: 'bad', hint: null });
  });
});
