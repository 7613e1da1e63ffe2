import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

/** Names below folders that a process was given as its own, after it ran a model in ONNX Runtime. */
function traces(extra: { readonly [name: string]: string }): string[] {
  const own = { HOME: 'home', TMPDIR: 'tmp', XDG_CACHE_HOME: 'cache' };
  const root = join(folder, Object.keys(extra).join() || 'none');
  for (const name of Object.values(own)) mkdirSync(join(root, name), { recursive: true });
  const env = Object.fromEntries(Object.entries(own).map(([name, place]) => [name, join(root, place)]));
  const model = 'fixtures/mini-onnx-qa/model.onnx';
  execFileSync(process.execPath, ['bin/mbert.js', 'verify', model, '--against', model], {
    env: { PATH: process.env['PATH'], ...env, ...extra },
  });
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
}

test('a model that is run leaves nothing in the home folder or among temporary files', () => {
  expect(traces({})).toEqual(['cache', 'home', 'tmp']);
});

test('ONNX Runtime does leave its telemetry there where the user asks for it', () => {
  expect(traces({ ORT_DISABLE_TELEMETRY: '0' }).join('\n')).toContain('onnxruntime.db');
});
