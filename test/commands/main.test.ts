import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { main } from '../../src/commands/main.ts';
import { BAD_CASES, badCase, severityOf } from '../bad-case.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

/** Runs a command line in this process; paths of the temporary folder are shown as `<tmp>`. */
async function run(...argv: string[]) {
  let out = '';
  let err = '';
  const io = {
    out(text: string) {
      out += text;
    },
    err(text: string) {
      err += text;
    },
  };
  const code = await main(argv, io);
  const shown = (text: string) => text.replaceAll(folder, '<tmp>');
  return { code, out: shown(out), err: shown(err) };
}

describe('convert', () => {
  test('says what it wrote', async () => {
    const output = join(folder, 'model.onnx');
    const { code, out, err } = await run('convert', 'fixtures/hf-seqcls', '-o', output);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatchInlineSnapshot(`
      "mobilebert, sequence-classification

      <tmp>/model.onnx  400.1 kB
        inputs   input_ids i64[batch, sequence], attention_mask i64[batch, sequence], token_type_ids i64[batch, sequence]
        outputs  logits f32[batch, 3]
        passes   111 nodes -> 92: fuse-linear 8, fold-attention-scale 2, move-value-bias 2, fold-no-norm 17, drop-key-bias 2, hoist-token-slice 1, fuse-bottleneck 3, flatten-tokens 53
      "
    `);
    expect(existsSync(output)).toBe(true);
  });

  test('writes both formats into a folder and verifies them', async () => {
    const { code, out } = await run('convert', 'fixtures/hf-qa', '-o', join(folder, 'both'), '--verify', '--json');
    expect(code).toBe(0);
    const { results } = JSON.parse(out);
    expect(readdirSync(join(folder, 'both')).sort()).toEqual(['model.onnx', 'model.tflite']);
    for (const { verify } of results) expect(verify).toMatchObject({ ok: true, against: 'source', sequences: 16 });
    // Task Library reads the end first where a file has no names.
    expect(results[0].outputs.map(({ name }: { name: string }) => name)).toEqual(['end_logits', 'start_logits']);
    expect(results[1].outputs.map(({ name }: { name: string }) => name)).toEqual(['start_logits', 'end_logits']);
  });

  test('writes the same bytes again', async () => {
    for (const file of ['a.tflite', 'b.tflite', 'a.onnx', 'b.onnx'])
      await run('convert', 'fixtures/hf-seqcls', '-o', join(folder, file));
    for (const target of ['tflite', 'onnx']) {
      expect(readFileSync(join(folder, `a.${target}`)).equals(readFileSync(join(folder, `b.${target}`)))).toBe(true);
    }
  });

  test('a dynamic TFLite file is verified', async () => {
    const { code, out } = await run(
      'convert',
      'fixtures/hf-seqcls',
      '-o',
      join(folder, 'd.tflite'),
      '--sequence-length',
      'dynamic',
      '--verify',
      '--softmax',
    );
    expect(code).toBe(0);
    expect(out).toContain('input_ids i32[1, sequence]');
    expect(out).toContain('outputs  probability f32[1, 3]');
    expect(out).toContain('verified ok');
  });

  test.each([
    ['no task of that name', ['fixtures/hf-qa', '-o', '<tmp>/x.onnx', '--task', 'translation']],
    ['a length beyond the positions', ['fixtures/hf-qa', '-o', '<tmp>/x.onnx', '--sequence-length', '65']],
    ['a length of zero', ['fixtures/hf-qa', '-o', '<tmp>/x.onnx', '--sequence-length', '0']],
    ['an unknown pass', ['fixtures/hf-qa', '-o', '<tmp>/x.onnx', '--passes', 'fold-nonorm']],
    ['an unknown extension', ['fixtures/hf-qa', '-o', '<tmp>/x.pb']],
    ['a softmax on question answering', ['fixtures/hf-qa', '-o', '<tmp>/x.tflite', '--softmax']],
    ['a softmax in ONNX', ['fixtures/hf-seqcls', '-o', '<tmp>/x.onnx', '--softmax']],
    ['an opset for TFLite', ['fixtures/hf-seqcls', '-o', '<tmp>/x.tflite', '--opset', '17']],
    ['an opset that mbert does not write', ['fixtures/hf-seqcls', '-o', '<tmp>/x.onnx', '--opset', '7']],
    ['labels that do not fit', ['fixtures/hf-seqcls', '-o', '<tmp>/x.tflite', '--labels', '<tmp>/labels.txt']],
    ['a source that is not there', ['<tmp>/absent', '-o', '<tmp>/x.onnx']],
    ['a folder without a model', ['<tmp>/empty', '-o', '<tmp>/x.onnx']],
    ['an output below a file', ['fixtures/hf-qa', '-o', '<tmp>/labels.txt/x.onnx']],
    ['an output that is a folder', ['fixtures/hf-qa', '-o', '<tmp>/folder.onnx']],
  ])('refuses %s', async (_, argv) => {
    writeFileSync(join(folder, 'labels.txt'), 'yes\nno\n');
    for (const name of ['empty', 'folder.onnx']) mkdirSync(join(folder, name), { recursive: true });
    const before = readdirSync(folder);
    const { code, out, err } = await run('convert', ...argv.map((word) => word.replace('<tmp>', folder)));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatchSnapshot();
    expect(readdirSync(folder)).toEqual(before);
  });
});

describe('every damaged checkpoint gives its exit code and leaves nothing behind', () => {
  const cases = BAD_CASES.filter((name) => /^(st|cfg|w|shard)-/.test(name));
  test.each(cases)('%s', async (name) => {
    const severity = severityOf(name);
    const path = badCase(name);
    const target = join(folder, 'bad', name);
    const { code, err } = await run('convert', path, '-o', join(target, 'model.tflite'));
    expect(code, err).toBe(severity === 'error' ? 2 : 0);
    // file: part: problem
    const answer = severity === 'error' ? /^<case>[^\n]*: [^\n]/ : /^warning: <case>[^\n]*: [^\n]/;
    expect(err.replaceAll(path, '<case>')).toMatch(answer);
    expect(err).not.toContain('    at ');
    expect(existsSync(target)).toBe(severity === 'warning');
  });
});

test('inspect prints the graph behind a summary', async () => {
  const { code, out } = await run('inspect', '--graph', 'fixtures/hf-qa-ffn1', '--target', 'tflite');
  expect(code).toBe(0);
  await expect(out).toMatchFileSnapshot('golden/inspect.txt');
});

test('passes lists every pass', async () => {
  const { code, out } = await run('passes');
  expect(code).toBe(0);
  await expect(out).toMatchFileSnapshot('golden/passes.txt');
});

test('help shows examples, and no command is a usage error', async () => {
  const help = await run('convert', '--help');
  expect(help.code).toBe(0);
  expect(help.out).toContain('Examples:');
  expect((await run('frobnicate')).code).toBe(2);
});

test('the installed command runs', () => {
  const version = JSON.parse(readFileSync('package.json', 'utf8')).version;
  expect(execFileSync(process.execPath, ['bin/mbert.js', '--version'], { encoding: 'utf8' }).trim()).toBe(version);
});

test('inspect says what XNNPACK takes of a written file', async () => {
  const output = join(folder, 'delegated.tflite');
  await run('convert', 'fixtures/hf-seqcls', '-o', output);
  const { code, out } = await run('inspect', output, '--delegate', 'xnnpack');
  expect(code).toBe(0);
  expect(out).toMatchInlineSnapshot(`
    "XNNPACK takes 79 of 84 operators in 1 partition
    left              count  why
    RESHAPE               1  input_ids is INT32
    EMBEDDING_LOOKUP      2  XNNPACK has no such operator
    RESHAPE               1  token_type_ids is INT32
    CAST                  1  XNNPACK has no such operator
    "
  `);
});
