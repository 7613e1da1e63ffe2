import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();
const [scratch, output] = [join(folder, 'scratch'), join(folder, 'out')];

beforeEach(() => {
  for (const each of [scratch, output]) rmSync(each, { recursive: true, force: true });
  mkdirSync(scratch);
});

/** Runs a line of bash with folders of its own. */
function bash(line: string) {
  const env = { ...process.env, TMPDIR: scratch, OUT: output };
  const { status, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8', env });
  return { status, stderr };
}

const CONVERT = 'node bin/mbert.js convert fixtures/bert-seqcls --quiet -o';
const QUANTIZE = 'node bin/mbert.js quantize fixtures/bert-seqcls --scheme=dynamic --quiet -o $OUT/m.onnx';

describe.skipIf(process.platform !== 'linux')('nothing is left, and no bug is told, where', () => {
  test.each<[string, string, string]>([
    ['a file may not grow', `ulimit -f 100; ${QUANTIZE}`, 'it is larger than files may be here (ulimit -f)'],
    ['not even a lock can be written', `ulimit -f 0; ${CONVERT} $OUT/m.onnx`, 'it is larger than files may be here'],
    ['few files may be open', `ulimit -n 34; ${QUANTIZE}`, 'too many files are open'],
    ['temporary files have no folder', `TMPDIR=/nonexistent ${QUANTIZE}`, 'cannot hold temporary files'],
    ['a folder cannot be made', `${CONVERT} /proc/none/m.onnx`, '/proc/none: cannot be written: '],
    ['a folder cannot be written', `${CONVERT} /proc/m.onnx`, '/proc: cannot be written: '],
  ])('%s', (_, line, problem) => {
    const { status, stderr } = bash(line);
    expect(stderr).toContain(problem);
    expect(status).toBe(2);
    expect(existsSync(output) ? readdirSync(output) : []).toEqual([]);
    expect(readdirSync(scratch).filter((name) => name.startsWith('mbert'))).toEqual([]);
  });
});
