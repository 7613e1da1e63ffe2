import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { OUTPUT_FLAGS } from '../../src/commands/batch.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const out = (name: string) => join(folder, name);
const run = (...argv: readonly string[]) => runCommand(folder, ...argv);

/** A job file in a folder of its own, with results beside it. */
function jobFile(name: string, jobs: readonly object[]) {
  const path = out(`${name}.jsonl`);
  writeFileSync(path, jobs.map((job) => JSON.stringify(job)).join('\n'));
  return { path, results: out(`${name}.results`), resultsOf: () => readdirSync(out(`${name}.results`)).sort() };
}

const convert = (name: string, source = 'fixtures/hf-qa') => ({
  name,
  command: 'convert',
  args: [source, '-o', out(`${name}.onnx`)],
});

const resultOf = (results: string, name: string) => JSON.parse(readFileSync(join(results, `${name}.json`), 'utf8'));

test('knows every flag behind which a command writes', () => {
  expect([...OUTPUT_FLAGS].sort()).toEqual(['--dump-passes', '--dump-recipe', '--output', '--report', '-o']);
});

test('jobs end each by themselves: done, no, refused; what they printed is kept', async () => {
  const { path, results } = jobFile('mixed', [
    convert('good'),
    { name: 'no', command: 'diff', args: ['fixtures/hf-qa', 'fixtures/hf-seqcls'] },
    convert('refused', 'fixtures/nothing'),
  ]);
  const { code, out: printed, err } = await run('batch', path, '--jobs', '2');
  expect(code).toBe(2);
  expect(err).toMatch(/^refused {2}refused in [\d.]+ s: fixtures\/nothing: cannot be read: does not exist$/m);
  expect(printed).toContain('3 jobs: 1 done, 1 no, 1 refused');
  const good = resultOf(results, 'good');
  expect(good).toMatchObject({ version: 1, exitCode: 0, outputs: [{ path: out('good.onnx') }] });
  expect(good.result.results[0].target).toBe('onnx');
  expect(resultOf(results, 'no')).toMatchObject({ exitCode: 1, outputs: [] });
  expect(resultOf(results, 'refused').exitCode).toBe(2);
});

test('a mistyped line is refused before the first job runs, whichever shard has it', async () => {
  const line = (name: string, command: string, ...args: string[]) => ({ name, command, args });
  const { path, results } = jobFile('mistyped', [
    convert('first'),
    line('command', 'quantise', 'm', '-o', 'a.onnx'),
    line('flag', 'quantize', 'm', '-o', 'b.onnx', '--shceme', 'int8'),
    line('value', 'quantize', 'm', '-o', 'c.onnx', '--scheme', 'int7'),
    line('number', 'bench', 'm', '--runs', 'many'),
    line('missing', 'diff', 'm'),
    line('more', 'inspect', 'm', 'n'),
    line('required', 'convert', 'm'),
    line('page', 'view', 'm'),
    line('no-value', 'convert', 'm', '-o'),
    line('help', 'inspect', '--help'),
  ]);
  const { code, err } = await run('batch', path, '--shard', '1/11');
  expect(code).toBe(2);
  expect(err).toMatchInlineSnapshot(`
    "<tmp>/mistyped.jsonl: command: quantise: is no command of a job: did you mean quantize?
    <tmp>/mistyped.jsonl: flag: quantize: required option '--scheme <scheme>' not specified
    <tmp>/mistyped.jsonl: value: quantize: option '--scheme <scheme>' argument 'int7' is invalid. Allowed choices are dynamic, int8, f16, w4, int16x8, w8a16.
    <tmp>/mistyped.jsonl: number: bench: option '--runs <n>' argument 'many' is invalid. it must be a positive integer.
    <tmp>/mistyped.jsonl: missing: diff: missing required argument 'b'
    <tmp>/mistyped.jsonl: more: inspect: too many arguments. Expected 1 argument but got 2.
    <tmp>/mistyped.jsonl: required: convert: required option '-o, --output <path>' not specified
    <tmp>/mistyped.jsonl: page: view: is no command of a job: commands are convert, extract, distill, search, map-layers, diff, quantize and 6 more
    <tmp>/mistyped.jsonl: no-value: convert: option '-o, --output <path>' argument missing
    <tmp>/mistyped.jsonl: help: inspect: unknown option '--help'
    hint: no job has run; mbert COMMAND --help shows the flags
    "
  `);
  expect(existsSync(results)).toBe(false);
  expect(existsSync(out('first.onnx'))).toBe(false);
  expect((await run('batch', path, '--summary')).code).toBe(0);
});

test('of many mistyped lines the first ten are named', async () => {
  const bad = Array.from({ length: 12 }, (_, i) => ({ name: `j${i}`, command: 'inspect', args: ['m', '--grap'] }));
  const { err } = await run('batch', jobFile('many', bad).path);
  expect(err).toMatch(/: j9: inspect: .*--graph.*\n<tmp>\/many\.jsonl: 2 more jobs are wrong\nhint: /);
  expect(err).not.toContain('j10');
});

test('--resume runs what failed, what changed and what was lost, and nothing else', async () => {
  const labels = out('labels.txt');
  writeFileSync(labels, 'bad\nso\ngood\n');
  const { path } = jobFile('again', [
    convert('kept'),
    convert('lost'),
    { name: 'read', command: 'convert', args: ['fixtures/hf-seqcls', '-o', out('read.tflite'), '--labels', labels] },
  ]);
  expect((await run('batch', path)).code).toBe(0);
  expect(await run('batch', path)).toMatchObject({ code: 2, err: expect.stringContaining('--resume goes on') });
  rmSync(out('lost.onnx'));
  writeFileSync(labels, 'bad\nso\nfine\n');
  const { code, err } = await run('batch', path, '--resume');
  expect(code).toBe(0);
  expect(err).toMatch(/^kept {2}done before\nlost {2}done in .*\nread {2}done in .*\n$/);
});

test('--summary runs nothing', async () => {
  const { path, results } = jobFile('summary', [convert('later')]);
  const { code, out: printed } = await run('batch', path, '--summary');
  expect(code).toBe(0);
  expect(printed).toContain('1 job: 1 not run');
  expect(existsSync(results)).toBe(false);
});

test('a file that is no result is not replaced', async () => {
  const { path, results } = jobFile('foreign', [convert('foreign')]);
  await run('batch', path);
  writeFileSync(join(results, 'foreign.json'), '{"mine": true}');
  const { code, err } = await run('batch', path, '--resume');
  expect(code).toBe(2);
  expect(err).toContain('foreign.json: is no result of a batch');
});

test('a job is what its line says, whatever the config of the folder', async () => {
  const { path, results } = jobFile('config', [
    { name: 'plain', command: 'convert', args: [resolve('fixtures/hf-qa'), '-o', out('plain.onnx')] },
  ]);
  writeFileSync(out('mbert.config.json'), '{"convert": {"opset": 18}}');
  const program = resolve('bin/mbert.js');
  const child = spawn(process.execPath, [program, 'batch', path], { cwd: folder, stdio: 'ignore' });
  expect(await new Promise((done) => child.once('close', done))).toBe(0);
  rmSync(out('mbert.config.json'));
  expect((await run('inspect', out('plain.onnx'))).out).toMatch(/opset: 17$/m);
  expect(resultOf(results, 'plain').exitCode).toBe(0);
});

/** The program as a shell runs it. */
function start(...argv: string[]): { readonly child: ChildProcess; readonly ended: Promise<number | null> } {
  const child = spawn(process.execPath, ['bin/mbert.js', ...argv], { stdio: 'ignore' });
  return { child, ended: new Promise((resolve) => child.once('close', resolve)) };
}

test('shards are processes that share a folder; one that is killed is gone on with', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `part-${name}`);
  const { path, results, resultsOf } = jobFile(
    'parts',
    names.map((name) => convert(name)),
  );
  const [first, second] = [start('batch', path, '--shard', '1/2'), start('batch', path, '--shard', '2/2')];
  while (!existsSync(join(results, 'part-b.json'))) await new Promise((resolve) => setTimeout(resolve, 20));
  second.child.kill('SIGKILL');
  await Promise.all([first.ended, second.ended]);
  const before = resultsOf();
  expect(before).toEqual(expect.arrayContaining(['part-a.json', 'part-b.json', 'part-c.json', 'part-e.json']));
  expect(before).not.toContain('part-f.json');
  const { code, err } = await run('batch', path, '--shard', '2/2', '--resume');
  expect(code).toBe(0);
  expect(err).toMatch(/^part-b {2}done before$/m);
  expect(err).toMatch(/^part-f {2}done in /m);
  const summary = await run('batch', path, '--summary');
  expect(summary.out).toContain('6 jobs: 6 done');
  expect(resultsOf()).toEqual(names.map((name) => `${name}.json`));
});

test('a signal ends the jobs that run with the batch', async () => {
  const { path, results } = jobFile('endless', [
    { name: 'endless', command: 'bench', args: [out('kept.onnx'), '--runs', '100000000', '--no-memory'] },
  ]);
  const temporary = mkdtempSync(join(folder, 'tmp-'));
  // A group of its own, so that it can be asked for all its processes at once.
  const child = spawn(process.execPath, ['bin/mbert.js', 'batch', path], {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, TMPDIR: temporary },
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const group = -(child.pid as number);
  // The job runs as soon as it has a folder for temporary files.
  while (readdirSync(temporary).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGTERM');
  expect(await ended).toBe(143);
  while (isAlive(group)) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(existsSync(join(results, 'endless.json'))).toBe(false);
  expect(readdirSync(temporary)).toEqual([]);
});

function isAlive(group: number): boolean {
  try {
    process.kill(group, 0);
    return true;
  } catch {
    return false;
  }
}
