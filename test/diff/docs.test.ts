import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../commands/run.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { changedCheckpoint } from './checkpoints.ts';

const DOCS = readFileSync('docs/diff.md', 'utf8');
const SOURCE = 'fixtures/hf-qa-layernorm-gelu';
const folder = temporaryFolder();
const repository = join(folder, 'repository');
const summary = join(folder, 'summary.md');

/** Runs shell lines in the repository as GitHub does: `bash -e`, with `mbert` being what was built. */
function shell(script: string) {
  const { status, stdout, stderr } = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', script], {
    cwd: repository,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
      GIT_CONFIG_GLOBAL: join(folder, 'gitconfig'),
      GITHUB_BASE_REF: 'main',
      GITHUB_STEP_SUMMARY: summary,
    },
  });
  return { status, stdout, stderr };
}

/** A model and its lock file are committed on main, which is also the remote's; the work goes on in a branch. */
beforeAll(async () => {
  mkdirSync(join(folder, 'bin'));
  mkdirSync(repository);
  const command = join(folder, 'bin', 'mbert');
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${resolve('bin/mbert.js')}" "$@"\n`);
  chmodSync(command, 0o755);
  writeFileSync(join(folder, 'gitconfig'), '[user]\nname = Tester\nemail = tester@example.com\n');
  const nudged = changedCheckpoint(SOURCE, join(folder, 'nudged'), (name, values) => {
    if (name === 'mobilebert.encoder.layer.0.attention.self.query.bias') values[0] = (values[0] as number) + 0.5;
  });
  for (const [source, file] of [
    [SOURCE, 'before.tflite'],
    [nudged, 'after.tflite'],
  ] as const) {
    expect((await runCommand(folder, 'convert', source, '-o', join(folder, file))).code).toBe(0);
  }
  copyFileSync(join(folder, 'before.tflite'), join(repository, 'model.tflite'));
  const { status, stderr } = shell(`
    git init --quiet --initial-branch main
    mbert inspect --graph model.tflite > model.graph
    git add . && git commit --quiet -m 'A model'
    git remote add origin . && git fetch --quiet
    git switch --quiet --create change`);
  expect(status, stderr).toBe(0);
});

test('the example is what mbert prints', async () => {
  const before = join(folder, 'v1.onnx');
  const after = join(folder, 'v2.tflite');
  const changed = changedCheckpoint(SOURCE, join(folder, 'changed'), (name, values) => {
    if (name === 'mobilebert.encoder.layer.0.attention.output.dense.weight') values[7] = (values[7] as number) + 0.01;
  });
  const config = join(changed, 'config.json');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"hidden_act": "gelu"', '"hidden_act": "gelu_new"'));
  await runCommand(folder, 'convert', SOURCE, '-o', before);
  await runCommand(folder, 'convert', changed, '-o', after);
  const { code, out } = await runCommand(folder, 'diff', before, after);
  expect(code).toBe(1);
  expect(DOCS).toContain(`$ mbert diff v1.onnx v2.tflite\n${out.replaceAll('<tmp>/', '')}`);
});

/** The commands of the page's workflow by the names of their steps, and those of its shell blocks. */
const steps = new Map(
  [...DOCS.matchAll(/- name: (.+)\n\s+run: \|\n((?: {10}.+\n)+)/g)].map(([, name = '', script = '']) => [name, script]),
);
const blocks = [...DOCS.matchAll(/```sh\n([\s\S]+?)```/g)].map(([, script = '']) => script);

describe('the workflow', () => {
  test('has two steps that compare', () => {
    expect([...steps.keys()]).toEqual(['The lock file is up to date', 'What this changes']);
  });

  test('passes where nothing has changed', () => {
    for (const [name, script] of steps) expect(shell(script).status, name).toBe(0);
    expect(readFileSync(summary, 'utf8')).toMatch(/^### ✅ same$/m);
  });

  test('fails at the lock file and says so where the model has changed', () => {
    copyFileSync(join(folder, 'after.tflite'), join(repository, 'model.tflite'));
    const lock = shell(steps.get('The lock file is up to date') ?? '');
    expect(lock.status).toBe(1);
    expect(lock.stdout).toMatch(/^::error file=model\.tflite,title=weights::/m);
    const change = shell(steps.get('What this changes') ?? '');
    // Weights are free to change there: they are told, not judged.
    expect(change.status).toBe(0);
    expect(change.stdout).toMatch(/^::notice file=model\.tflite,title=weights::/m);
    expect(readFileSync(summary, 'utf8')).toMatch(/query.*: values, 1 of \d+ differ/);
  });
});

test('lock files are made and compared as the page says', () => {
  const [lock = ''] = blocks;
  expect(lock).toContain('mbert inspect');
  expect(shell(lock).status).toBe(0);
});

test('git shows what changed in a model, as text', () => {
  const [, recipe = ''] = blocks;
  expect(recipe).toContain('textconv');
  expect(shell(recipe).status).toBe(0);
  expect(existsSync(join(repository, '.gitattributes'))).toBe(true);
  copyFileSync(join(folder, 'after.tflite'), join(repository, 'model.tflite'));
  const { status, stdout } = shell('git diff main -- model.tflite');
  expect(status).toBe(0);
  const changed = stdout.split('\n').filter((line) => /^[-+] /.test(line));
  expect(changed).toHaveLength(2);
  expect(changed[0]).toContain('linear(');
});
