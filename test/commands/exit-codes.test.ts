import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Io } from '../../src/commands/io.ts';
import { commandsWithFlags, main } from '../../src/commands/main.ts';
import { MbertError } from '../../src/errors.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import { writeFiles } from '../../src/io/files.ts';
import { readF32, tensorOf } from '../../src/ir/tensor.ts';
import { graphOf } from '../core.ts';
import { computed, useFakeRuntime } from '../pipelines/fake-runtime.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const run = (...argv: readonly string[]) => runCommand(folder, ...argv);

/** A classifier of three words; the weights of its linear are as many as fit. */
async function source(name: string, last = 'tanh'): Promise<string> {
  const graph = graphOf(`graph g (input_ids: i64[1, sequence], attention_mask: i64[1, sequence])
  words = gather(table f32[20, 16] #1, input_ids)
  act = ${last}(words)
  dense = linear(act, w f32[16, 16] #2)
  gelu = gelu(dense)
  first = slice(gelu) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 16]}
  logits = linear(pooled, v f32[3, 16] #3)
return logits: logits`);
  await writeFiles(folder, onnx.write(graph, { ...onnx.defaults, name }));
  return path(name);
}

/** Files of this name answer otherwise. */
function useOtherAnswers(name: string) {
  return useFakeRuntime((file, feeds) => {
    const outputs = computed(file, feeds);
    if (!file.path.endsWith(name)) return outputs;
    return new Map(
      [...outputs].map(([key, { shape, ...tensor }]) => {
        const values = readF32({ ...tensor, shape }).map((value) => 1 - value);
        return [key, tensorOf('f32', shape, values)];
      }),
    );
  });
}

describe('convert', () => {
  test('is 0 where the file answers as its source does', async () => {
    const from = await source('source.onnx');
    useFakeRuntime();
    const { code, out } = await run('convert', from, '-o', path('good.onnx'), '--verify');
    expect(code).toBe(0);
    expect(out).toContain('verified ok');
  });

  test('is 1 where --verify finds a difference, and the file stays', async () => {
    const from = await source('source.onnx');
    useOtherAnswers('off.onnx');
    const { code, out } = await run('convert', from, '-o', path('off.onnx'), '--verify');
    expect(code).toBe(1);
    expect(out).not.toContain('verified ok');
    expect(existsSync(path('off.onnx'))).toBe(true);
    useOtherAnswers('off.onnx');
    const json = await run('convert', from, '-o', path('off.onnx'), '--verify', '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out).results[0].verify.ok).toBe(false);
  });

  test('is 0 where nobody asks whether it does', async () => {
    const from = await source('source.onnx');
    useOtherAnswers('off.onnx');
    expect((await run('convert', from, '-o', path('off.onnx'))).code).toBe(0);
  });
});

describe('verify', () => {
  test('is 1 where a gate says no', async () => {
    const [model, against] = [await source('m.onnx'), await source('r.onnx')];
    useOtherAnswers('m.onnx');
    const gate = await run('verify', model, '--against', against, '--max-drop', '1');
    expect(gate.code).toBe(1);
    expect(gate.out).toContain('FAILED --max-drop: ');
    useOtherAnswers('m.onnx');
    const open = await run('verify', model, '--against', against);
    expect(open.code).toBe(0);
    expect(open.out.trimEnd().split('\n').at(-1)).toBe('measured, not judged: --max-drop POINTS sets a limit');
  });
});

describe('quantize', () => {
  const QUANTIZE = ['--scheme', 'dynamic'];

  test('is 1 where a size is passed, and the file stays', async () => {
    const from = await source('source.onnx');
    const { code, out } = await run('quantize', from, '-o', path('large.onnx'), ...QUANTIZE, '--max-size', '100');
    expect(code).toBe(1);
    expect(out).toContain('--max-size 100: the file has ');
    expect(existsSync(path('large.onnx'))).toBe(true);
    expect((await run('quantize', from, '-o', path('large.onnx'), ...QUANTIZE, '--max-size', '1MB')).code).toBe(0);
  });
});

test('quantize is 1 where passes that change the function have lost too much already', async () => {
  const texts = path('texts.txt');
  const lines = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n');
  writeFileSync(texts, lines.slice(0, 32).join('\n'));
  const [from, to] = ['fixtures/hf-qa', path('narrow.onnx')];
  const narrow = ['--passes', 'split-embedding', '--embedding-rank', '1', '--data', texts];
  const { code, out } = await run(
    'quantize',
    from,
    '-o',
    to,
    '--scheme',
    'f16',
    ...narrow,
    '--max-drop',
    '1',
    '--json',
  );
  expect(code).toBe(1);
  const { fit, results } = JSON.parse(out);
  expect(fit.failures).toEqual([expect.stringContaining('--max-drop 1: agreement fell by ')]);
  expect(results[0].failures).toEqual([]);
  expect(existsSync(to)).toBe(true);
});

describe('diff', () => {
  test('is 1 where models differ in what counts', async () => {
    const [a, b] = [await source('a.onnx'), await source('b.onnx', 'relu')];
    expect((await run('diff', a, a)).code).toBe(0);
    expect((await run('diff', a, b)).code).toBe(1);
    expect((await run('diff', a, b, '--fail-on', 'weights')).code).toBe(0);
    expect((await run('diff', a, b, '--fail-on', 'none')).code).toBe(0);
  });

  test.each([
    ['1kB', 0],
    ['0', 1],
    ['0%', 1],
    ['50%', 0],
  ])('is by how much sizes may differ: %s', async (limit, code) => {
    const [a, b] = [await source('a.onnx'), await source('longer-name.onnx', 'sigmoid')];
    expect((await run('diff', a, b, '--fail-on', 'size', '--max-size-delta', limit)).code).toBe(code);
  });

  test.each(['5 TB', '-1', 'x', ''])('refuses the size %j', async (limit) => {
    const a = await source('a.onnx');
    expect((await run('diff', a, a, `--max-size-delta=${limit}`)).code).toBe(2);
  });
});

describe('wrong input is 2, said in one line with a way out', () => {
  test.each<[string, string[], string]>([
    ['an unknown command', ['frobnicate'], "unknown command 'frobnicate'"],
    ['an unknown flag', ['passes', '--loud'], "unknown option '--loud'"],
    ['a missing argument', ['convert', '-o', 'x.onnx'], "missing required argument 'source'"],
    ['a missing flag', ['quantize', 'x', '-o', 'x.onnx'], "required option '--scheme <scheme>' not specified"],
    ['a value that is none', ['quantize', 'x', '-o', 'x.onnx', '--scheme', 'int4'], 'Allowed choices are'],
    ['one argument too many', ['inspect', 'a', 'b'], 'too many arguments'],
    [
      'a column of no file',
      ['verify', 'fixtures/hf-qa', '--against', 'fixtures/hf-qa', '--text', 'x'],
      '--text: names a column of texts',
    ],
    [
      'a label of no file',
      ['quantize', 'fixtures/hf-qa', '-o', 'x.onnx', '--scheme', 'f16', '--label', 'x'],
      '--label: names a column',
    ],
    ['a text of no file', ['bench', 'fixtures/hf-qa', '--text', 'x'], '--text: names a column of texts'],
    ...[['--samples', '9'], ['--seed', '3'], ['--allow-overlap']].map(
      ([flag = '', ...value]): [string, string[], string] => [
        `${flag} of no texts`,
        ['quantize', 'fixtures/hf-qa', '-o', 'x.onnx', '--scheme', 'f16', flag, ...value],
        `${flag}: says which texts are read, and there are none\nhint: give --data FILE or --calibrate FILE\n`,
      ],
    ),
    ...[
      ['bench', 'fixtures/hf-qa'],
      ['verify', 'fixtures/hf-qa', '--against', 'fixtures/hf-qa'],
    ].map((argv): [string, string[], string] => [
      `a vocabulary that reads nothing, in ${argv[0]}`,
      [...argv, '--vocab', 'x'],
      '--vocab: reads texts, and no file of texts is given',
    ]),
    ...['fixtures/hf-qa', 'fixtures/tflite-qa-int8/model.tflite'].map((source): [string, string[], string] => [
      `choices of a model that has none: ${source}`,
      ['inspect', source, '--choices', '3'],
      `--choices: ${source}`,
    ]),
    ['a file that is not there', ['inspect', 'none.onnx'], 'none.onnx: cannot be read: does not exist'],
    [
      'a page of what has none',
      ['inspect', 'x', '--delegate', 'xnnpack', '--format', 'html'],
      '--delegate: has no page',
    ],
    ['the graph of what has none', ['inspect', 'x', '--delegate', 'xnnpack', '--graph'], '--graph: --delegate reads'],
    ...[
      ['--target', 'onnx'],
      ['--passes', 'none'],
      ['--dump-passes', path('dumps')],
      ['--time-passes'],
      ['--task', 'qa'],
      ['--base', 'x'],
      ['--sequence-length', '8'],
      ['--batch', '2'],
      ['--choices', '4'],
    ].map(([flag = '', ...value]): [string, string[], string] => [
      `${flag} of what is read as it is`,
      ['inspect', 'x', '--delegate', 'onnxruntime', flag, ...value],
      `${flag}: --delegate reads the file as it is: no shape is set and no pass runs\nhint: leave ${flag} or --delegate out\n`,
    ]),
    ...[
      ['--at', 'x'],
      ['--target', 'onnx'],
      ['--base', 'x'],
      ['--sequence-length', '8'],
      ['--batch', 'dynamic'],
      ['--choices', '4'],
    ].map(([flag = '', ...value]): [string, string[], string] => [
      `${flag} of a list`,
      ['passes', flag, ...value],
      `${flag}: the list of passes is the same for every model`,
    ]),
  ])('%s', async (_, argv, message) => {
    const { code, out, err } = await run(...argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
  });

  test('hints come behind the problem', async () => {
    const { err } = await run('convert', 'fixtures/hf-qa', '-o', path('x.pb'));
    expect(err).toBe(
      '<tmp>/x.pb: mbert writes .tflite and .onnx files, not .pb\nhint: a folder gets both; its name has no extension, or ends with /\n',
    );
  });
});

describe('a bug is 70, with its stack', () => {
  /** `passes` prints into something that fails. */
  async function failing(cause: unknown) {
    let err = '';
    const io: Io = {
      out() {
        throw cause;
      },
      err(text) {
        err += text;
      },
    };
    return { code: await main(['passes'], io), err };
  }

  test('of any error that is not about the input', async () => {
    const { code, err } = await failing(new TypeError('x is undefined'));
    expect(code).toBe(70);
    expect(err).toMatch(/^This is a bug in mbert \d+\.\d+\.\d+:\nTypeError: x is undefined\n {4}at /);
  });

  test('of a graph that mbert has broken itself', async () => {
    const { code, err } = await failing(new MbertError('INVALID_GRAPH', 'add_3: shapes do not fit'));
    expect(code).toBe(70);
    expect(err).toContain('add_3: shapes do not fit');
  });

  test('but not of other errors of mbert', async () => {
    for (const code of ['USAGE', 'NOT_FOUND', 'MALFORMED', 'UNSUPPORTED', 'MISMATCH', 'UNKNOWN_FORMAT'] as const) {
      expect(await failing(new MbertError(code, 'm: p'))).toEqual({ code: 2, err: 'm: p\n' });
    }
  });

  test('of what is thrown and is no error', async () => {
    expect(await failing('a text')).toEqual({ code: 70, err: expect.stringContaining('a text\n') });
  });
});

const commands = await commandsWithFlags();

describe('help is 0', () => {
  test.each(commands.map(({ name }) => name))('of %s, with an example for each and its exit codes', async (name) => {
    for (const argv of [
      [name, '--help'],
      ['help', name],
    ]) {
      const { code, out, err } = await run(...argv);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain('Exit codes: 0 done, ');
      if (name !== 'passes') expect(out).toContain(`  $ mbert ${name} `);
    }
  });

  test('of all commands, and the version', async () => {
    const { out, code } = await run('--help');
    expect(code).toBe(0);
    for (const { name, summary } of commands) expect(out).toMatch(new RegExp(`${name} .*${summary.slice(0, 20)}`));
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await run('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test('but of nothing it is 2', async () => {
    const { code, err } = await run();
    expect(code).toBe(2);
    expect(err).toContain('Usage: mbert');
  });
});

describe('passes', () => {
  test('are data with --json', async () => {
    const { code, out } = await run('passes', '--json');
    expect(code).toBe(0);
    const { version, passes } = JSON.parse(out);
    expect(version).toBe(1);
    expect(passes[0]).toEqual({
      name: 'fold-constants',
      summary: expect.any(String),
      keeps: expect.stringMatching(/^(bits|values|shapes)$/),
      runs: 'always',
    });
  });
});

test('a page is refused before a model is read', async () => {
  writeFileSync(path('file'), '');
  const below = join(path('file'), 'page.html');
  for (const argv of [
    ['inspect', 'none'],
    ['diff', 'none', 'none'],
    ['verify', 'none', '--lint'],
    ['quantize', 'none', '-o', 'x.onnx', '--scheme', 'f16'],
  ]) {
    const { code, err } = await run(...argv, '--report', below);
    expect({ code, err }).toEqual({
      code: 2,
      err: '--report: <tmp>/file/page.html: <tmp>/file is not a folder\n',
    });
  }
});

test('the overview lists every exit code that the docs list', async () => {
  const { out } = await run('--help');
  const rows = [...readFileSync('docs/commands.md', 'utf8').matchAll(/^\| ([\d, ]+) \| /gm)].map(([, codes]) => codes);
  expect(rows).toHaveLength(6);
  const listed = out.slice(out.indexOf('Exit codes:')).trimEnd().split('\n').slice(1);
  expect(listed.map((line) => line.trim().split(/ {2,}/)[0])).toEqual(rows);
});
