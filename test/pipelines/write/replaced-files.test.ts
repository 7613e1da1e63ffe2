import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { lockOutput } from '../../../src/pipelines/write/lock.ts';
import { writePlans } from '../../../src/pipelines/write/plans.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const SOURCE = 'fixtures/hf-seqcls';
const refusal = (message: string) => expect.objectContaining({ code: 'USAGE', message });

describe('a file that is there', () => {
  test.each(['onnx', 'tflite'])('is replaced with a note where mbert wrote it: %s', async (format) => {
    const output = at(`own.${format}`);
    const notes: string[] = [];
    const note = (text: string) => notes.push(text);
    await convert({ source: SOURCE, output, note });
    expect(notes).toEqual([]);
    await convert({ source: SOURCE, output, note });
    expect(notes).toEqual([`${output}: will be replaced`]);
  });

  test('is left alone where mbert did not write it, before anything is read', async () => {
    const output = at('other.onnx');
    writeFileSync(output, 'mine');
    await expect(convert({ source: 'none', output })).rejects.toThrow(
      refusal(`${output}: exists already, and mbert did not write it`),
    );
    expect(readFileSync(output, 'utf8')).toBe('mine');
    await convert({ source: SOURCE, output, force: true });
    expect(readFileSync(output).includes('mbert.version')).toBe(true);
  });

  test('is told by its whole content', async () => {
    const output = at('late.onnx');
    // Across the end of the first MiB that is read.
    writeFileSync(output, `${'x'.repeat(2 ** 20 - 5)}mbert.version`);
    await expect(convert({ source: 'none', output })).rejects.toThrow(/none: cannot be read/);
  });

  test('is no folder', async () => {
    mkdirSync(at('folder.onnx'));
    await expect(convert({ source: SOURCE, output: at('folder.onnx'), force: true })).rejects.toThrow(/is a folder/);
  });
});

describe('the source is never replaced by its own output', () => {
  test('under its name, another one, or a link, with --force too', async () => {
    const source = at('source.onnx');
    await convert({ source: SOURCE, output: source });
    linkSync(source, at('hard.onnx'));
    symlinkSync(source, at('soft.onnx'));
    const before = readFileSync(source);
    for (const output of [source, join(folder, '.', 'source.onnx'), at('hard.onnx'), at('soft.onnx')]) {
      await expect(convert({ source, output, force: true })).rejects.toThrow(
        refusal(`${output}: is the source itself`),
      );
    }
    expect(readFileSync(source)).toEqual(before);
  });

  test('nor is the model of a folder that is written into', async () => {
    mkdirSync(at('both'));
    await convert({ source: SOURCE, output: at('both/model.onnx') });
    const names = readdirSync(at('both'));
    await expect(convert({ source: at('both'), output: at('both') })).rejects.toThrow(
      /model.onnx: is the source itself/,
    );
    expect(readdirSync(at('both'))).toEqual(names);
  });

  test('nor are weights beside it', async () => {
    await convert({ source: SOURCE, output: at('w.onnx'), externalData: true });
    const before = readFileSync(at('w.onnx.data'));
    await expect(convert({ source: at('w.onnx'), output: at('w.onnx'), externalData: true })).rejects.toThrow(
      /is the source itself/,
    );
    expect(readFileSync(at('w.onnx.data'))).toEqual(before);
  });
});

describe('two runs do not write one file at once', () => {
  test('the second is refused, until the first is done', async () => {
    const output = at('locked.onnx');
    const unlock = lockOutput(output);
    await expect(convert({ source: SOURCE, output })).rejects.toThrow(
      refusal(`${output}: is being written by another run, process ${process.pid}`),
    );
    unlock();
    await convert({ source: SOURCE, output });
    expect(readdirSync(folder).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  const lockedBy = (text: string) => writeFileSync(at('.stale.onnx.lock'), text);
  const space = process.platform === 'linux' ? readlinkSync('/proc/self/ns/pid') : null;
  const owner = { host: hostname(), space, pid: process.pid, started: null };

  test.each<[string, object]>([
    // Linux has no process above 2^22.
    ['that is gone', { ...owner, pid: 2 ** 22 + 1 }],
    // Other systems do not say when a process began.
    ...(process.platform === 'linux'
      ? [['whose number another one has now', { ...owner, started: 'long ago' }] as [string, object]]
      : []),
  ])('a lock of a process %s is taken over', (_, left) => {
    lockedBy(JSON.stringify(left));
    lockOutput(at('stale.onnx'))();
    expect(existsSync(at('.stale.onnx.lock'))).toBe(false);
  });

  test.each<[string, object, string]>([
    ['of a process that runs', owner, `, process ${process.pid}`],
    ['of another machine', { ...owner, host: 'elsewhere', pid: 2 ** 22 + 1 }, `, process ${2 ** 22 + 1} on elsewhere`],
    [
      'of another container of the same host name',
      { ...owner, space: 'pid:[1]', pid: 2 ** 22 + 1 },
      `, process ${2 ** 22 + 1} on ${hostname()}`,
    ],
  ])('a lock %s is respected', (_, left, who) => {
    lockedBy(JSON.stringify(left));
    expect(() => lockOutput(at('stale.onnx'))).toThrow(
      expect.objectContaining({
        message: `${at('stale.onnx')}: is being written by another run${who}`,
        hint: expect.stringContaining(`remove ${at('.stale.onnx.lock')}`),
      }),
    );
  });

  test('a lock without a word is one that is being made, until it is old', () => {
    lockedBy('');
    expect(() => lockOutput(at('stale.onnx'))).toThrow('is being written by another run');
    const old = Date.now() / 1000 - 60;
    utimesSync(at('.stale.onnx.lock'), old, old);
    lockOutput(at('stale.onnx'))();
    expect(existsSync(at('.stale.onnx.lock'))).toBe(false);
  });

  test('what a run leaves that is killed in the middle of writing does not stop the next one', async () => {
    const output = at('killed.onnx');
    const dying = `import { convert } from ${JSON.stringify(pathToFileURL('dist/index.js'))};
      const progress = (step) => step.startsWith('writing') && process.kill(process.pid, 'SIGKILL');
      await convert({ source: ${JSON.stringify(SOURCE)}, output: ${JSON.stringify(output)}, progress });`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', dying]);
    expect(signal).toBe('SIGKILL');
    expect(existsSync(at('.killed.onnx.lock'))).toBe(true);
    await convert({ source: SOURCE, output });
    expect(existsSync(at('.killed.onnx.lock'))).toBe(false);
  });
});

test('standard output is no place for a model', () => {
  expect(() => writePlans('-')).toThrow(refusal('--output -: a model is written to a file, not to standard output'));
  expect(writePlans('./-').map(({ path }) => path)).toEqual(['-/model.tflite', '-/model.onnx']);
});
