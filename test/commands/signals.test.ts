import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();
const [scratch, output] = [join(folder, 'scratch'), join(folder, 'out')];

beforeEach(() => {
  for (const each of [scratch, output]) rmSync(each, { recursive: true, force: true });
  mkdirSync(scratch);
});

const QUANTIZE = [
  'quantize',
  'fixtures/hf-seqcls',
  '-o',
  output,
  '--scheme=int8',
  '--calibrate=fixtures/mobilebert-demo/sst2-train-256.txt',
  '--sequence-length=16',
  '--samples=16',
];

/** Starts the command line and sends a signal once it tells of a step. Resolves to the exit code. */
function signalled(step: string, signal: NodeJS.Signals, argv: readonly string[]): Promise<number | null> {
  const child = spawn(process.execPath, ['bin/mbert.js', ...argv, '--verbose'], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const isNew = !told.includes(step);
    told += text;
    if (isNew && told.includes(step)) child.kill(signal);
  });
  return new Promise((done, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (told.includes(step) ? done(code) : reject(new Error(told))));
  });
}

const leftovers = () => readdirSync(scratch).filter((name) => name.startsWith('mbert'));

describe('a signal leaves nothing behind', () => {
  test.each<[string, NodeJS.Signals, number]>([
    ['] reading', 'SIGINT', 130],
    ['] measuring channels', 'SIGTERM', 143],
    ['] calibrating', 'SIGINT', 130],
    ['] writing model.tflite', 'SIGTERM', 143],
    ['] quantizing weights', 'SIGHUP', 129],
  ])('while it says "%s", %s', async (step, signal, code) => {
    expect(await signalled(step, signal, QUANTIZE)).toBe(code);
    expect(leftovers()).toEqual([]);
    expect(existsSync(output)).toBe(false);
  });

  test('nor while files are compared, and what is of others stays', async () => {
    mkdirSync(output);
    writeFileSync(join(output, 'notes.txt'), 'mine');
    expect(await signalled('] comparing in LiteRT', 'SIGTERM', QUANTIZE)).toBe(143);
    expect(readdirSync(output)).toEqual(['notes.txt']);
    expect(readFileSync(join(output, 'notes.txt'), 'utf8')).toBe('mine');
  });
});

test('a training that a signal ends can go on, and says how', async () => {
  const trained = join(folder, 'trained.onnx');
  const texts = join(folder, 'texts.tsv');
  writeFileSync(texts, ['text\tlabel', ...Array.from({ length: 80 }, (_, i) => `text ${i}\t${i % 3}`)].join('\n'));
  const argv = [
    'distill',
    'fixtures/bert-seqcls',
    '--teacher=fixtures/bert-seqcls',
    `--texts=${texts}`,
    '--labels',
    '--strategy=joint',
    '-o',
    trained,
  ];
  expect(await signalled('distilling', 'SIGINT', [...argv, '--steps=100000'])).toBe(130);
  expect([existsSync(trained), existsSync(`${trained}.training`)]).toEqual([false, true]);
  expect(leftovers()).toEqual([]);
}, 60_000);
