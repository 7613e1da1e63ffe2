import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

/** Runs a line of bash, which fails where any part of it does. */
function bash(line: string) {
  const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', line], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const A = 'fixtures/bert-seqcls';
const B = 'fixtures/mini-onnx-qa';

describe.skipIf(process.platform !== 'linux')('the exit code', () => {
  test('is that of the answer, whoever stops reading', () => {
    expect(bash(`node bin/mbert.js diff ${A} ${B} --all | head -1`)).toMatchObject({ status: 1, stderr: '' });
  });

  test('is 74 where the answer cannot be written', () => {
    const { status, stderr } = bash(`node bin/mbert.js inspect ${A} > /dev/full`);
    expect({ status, stderr }).toEqual({
      status: 74,
      stderr: expect.stringMatching(/^mbert: the output cannot be written: ENOSPC/),
    });
  });

  test('does not depend on whether messages can be', () => {
    expect(bash(`node bin/mbert.js inspect ${A} 2> /dev/full`).status).toBe(0);
    expect(bash(`node bin/mbert.js inspect ${A} 2>&-`).status).toBe(0);
    expect(bash('node bin/mbert.js inspect fixtures/none 2> /dev/full').status).toBe(2);
  });
});
