import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommand } from '../../commands/run.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const lines = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n');
const TEXTS = join(folder, 'texts.txt');
writeFileSync(TEXTS, lines.slice(0, 36).join('\n'));

const argvFor = (output: string, ...more: readonly string[]) => [
  ...['search', 'fixtures/bert-seqcls', '-o', join(folder, output), '--calibrate', TEXTS],
  ...['--forms', 'f32', '--json', ...more],
];

/** Runs a part in a process of its own; `until` kills it once the part's file is there. */
function runPart(output: string, part: string, isKilled = false): Promise<number | null> {
  const child = spawn(process.execPath, ['bin/mbert.js', ...argvFor(output, '--shard', part)], { stdio: 'ignore' });
  const path = join(folder, output, `scores-${part.replace('/', '-of-')}.json`);
  const timer = setInterval(() => {
    if (isKilled && existsSync(path)) child.kill('SIGKILL');
  }, 1);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearInterval(timer);
      resolve(code);
    });
  });
}

const scoresIn = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')).scores;

test('parts that run apart, one of them killed and run again, give what one process gives', async () => {
  expect((await runCommand(folder, ...argvFor('one', '--budgets', '260kB'))).code).toBe(0);
  expect(await runPart('parts', '1/2')).toBe(0);
  expect(await runPart('parts', '2/2', true)).toBe(null);
  const early = scoresIn('parts/scores-2-of-2.json').length;
  expect(early).toBeGreaterThan(0);
  expect(early).toBeLessThan(scoresIn('parts/scores-1-of-2.json').length);

  const missing = await runCommand(folder, ...argvFor('parts', '--merge', '--budgets', '260kB'));
  expect(missing.code).toBe(2);
  expect(missing.err).toContain(`--merge: <tmp>/parts: ${16 - early} of 33 scores are missing`);
  expect(missing.err).toContain('run these parts to their end: --shard 2/2');
  expect(readdirSync(join(folder, 'parts')).sort()).toEqual(['scores-1-of-2.json', 'scores-2-of-2.json']);

  expect(await runPart('parts', '2/2')).toBe(0);
  const merged = await runCommand(folder, ...argvFor('parts', '--merge', '--budgets', '260kB'));
  expect(merged.code).toBe(0);
  const parts = [scoresIn('parts/scores-1-of-2.json'), scoresIn('parts/scores-2-of-2.json')];
  const all = Array.from({ length: 33 }, (_, i) => parts[i % 2][Math.floor(i / 2)]);
  expect(all).toEqual(scoresIn('one/scores-1-of-1.json'));
  const bytesOf = (name: string) => readFileSync(join(folder, name, 'size-260kB.onnx'));
  expect(bytesOf('parts').equals(bytesOf('one'))).toBe(true);
});

test('scores of other texts, of another version, and what is no score, are not taken over', async () => {
  const path = join(folder, 'parts', 'scores-1-of-2.json');
  const file = JSON.parse(readFileSync(path, 'utf8'));
  const refused = async (content: string) => {
    writeFileSync(path, content);
    return (await runCommand(folder, ...argvFor('parts', '--shard', '1/2'))).err;
  };
  expect(await refused(JSON.stringify({ ...file, identity: 'other' }))).toContain('are scores of another search');
  expect(await refused(JSON.stringify({ ...file, version: 2 }))).toContain('is no file of scores');
  expect(await refused('[]')).toContain('is no file of scores');
  expect(await refused('{')).toContain('is no file of scores');
});
