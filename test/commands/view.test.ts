import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openBrowser } from '../../src/commands/open-browser.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const scratch = join(folder, 'scratch');
mkdirSync(scratch);

/** Starts the command as built, and calls `use` with the address that it prints. Resolves to its exit code. */
function viewing(argv: readonly string[], use: (url: string) => Promise<void>): Promise<number | null> {
  const child = spawn(process.execPath, ['bin/mbert.js', 'view', ...argv, '--no-open'], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((done, failed) => {
    child.stdout.setEncoding('utf8').once('data', (url: string) => {
      use(url.trim())
        .catch(failed)
        .finally(() => child.kill('SIGINT'));
    });
    child.on('error', failed);
    child.on('close', done);
  });
}

test('the page of a model is served until Ctrl-C, and what was dropped on it is gone then', async () => {
  const model = 'fixtures/mini-onnx-qa/model.onnx';
  let seen = '';
  const code = await viewing([model], async (url) => {
    const page = await (await fetch(url)).text();
    expect(page).toContain(`<p class="lead"><code>${model}</code></p>`);
    expect(page).toContain('data-picture');
    await fetch(`${url}files/a/other.onnx`, { method: 'PUT', body: 'no model' });
    const answer = await fetch(`${url}diff?drop=a`);
    expect(answer.status).toBe(422);
    expect(await answer.text()).toContain('<li>other.onnx: ');
    expect(readdirSync(scratch)).toHaveLength(1);
    seen = url;
  });
  expect(code).toBe(130);
  expect(readdirSync(scratch)).toEqual([]);
  await expect(fetch(seen)).rejects.toThrow();
});

test('two models are compared on the first page', async () => {
  await viewing(['fixtures/hf-seqcls', 'fixtures/hf-qa'], async (url) => {
    const page = await (await fetch(url)).text();
    expect(page).toContain('<code>fixtures/hf-seqcls</code> → <code>fixtures/hf-qa</code>');
    expect(page).toContain('class="verdict bad"');
  });
});

test.each([
  [['missing.onnx'], 'missing.onnx: cannot be read: does not exist'],
  [['fixtures/hf-seqcls', '--port', '70000'], 'at most 65535'],
])('%j is refused', async (argv, message) => {
  const { code, err } = await runCommand(folder, 'view', ...argv);
  expect(code).toBe(2);
  expect(err).toContain(message);
});

test('without a display or a program that opens addresses it is said that none was opened', async () => {
  const failures = async (variables: NodeJS.ProcessEnv) => {
    await new Promise<void>((failed) => openBrowser('http://127.0.0.1:1/', failed, variables));
    return 'failed';
  };
  expect(await failures({ PATH: folder })).toBe('failed');
  expect(await failures({ PATH: folder, DISPLAY: ':0', WSL_DISTRO_NAME: 'x' })).toBe('failed');
});
