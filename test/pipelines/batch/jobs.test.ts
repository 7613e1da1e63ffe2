import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { jobsOfShard, outputsOf, readJobs } from '../../../src/pipelines/batch/jobs.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const FLAGS: ReadonlySet<string> = new Set(['-o', '--output', '--report']);

function read(...lines: readonly unknown[]) {
  const path = join(folder, 'jobs.jsonl');
  writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return readJobs(path, FLAGS);
}

const job = (name: string, ...args: string[]) => ({ name, command: 'convert', args });

describe('a job file', () => {
  test('is read line by line, comments and empty lines left out', () => {
    expect(read('# two', job('a', './m', '-o', 'a.onnx'), '', job('b', './m', '-o', 'b.onnx'))).toEqual([
      job('a', './m', '-o', 'a.onnx'),
      job('b', './m', '-o', 'b.onnx'),
    ]);
  });

  test.each<[string, readonly unknown[], RegExp]>([
    ['no jobs', ['# none'], /jobs\.jsonl: has no jobs/],
    ['a list', [[]], /line 1: is no JSON object/],
    ['damaged JSON', [job('a'), '{"name"'], /line 2: /],
    ['a field that would not be honoured', [{ ...job('a'), after: 'b' }], /line 1: after: is no field of a job/],
    ['a name that leaves the folder', [job('../a')], /line 1: name: "\.\.\/a" is no file name/],
    ['a hidden name', [job('.a')], /line 1: name: "\.a" is no file name/],
    ['no name', [{ command: 'convert', args: [] }], /line 1: name: is missing/],
    ['one name twice, on file systems without case', [job('a'), job('A')], /line 2: name: A is that of line 1, too/],
    ['words in one text', [{ ...job('a'), args: './m -o a.onnx' }], /line 1: args: is no list of texts/],
    ['numbers as words', [{ ...job('a'), args: ['--samples', 3] }], /line 1: args: is no list of texts/],
    ['a batch in a batch', [{ ...job('a'), command: 'batch' }], /line 1: command: a batch cannot hold another/],
    ['a flag as command', [{ ...job('a'), command: '--help' }], /line 1: command: --help is no command/],
    [
      'two jobs that write one file',
      [job('a', '-o', 'out/m.onnx'), job('b', '--output=./out/m.onnx')],
      /b and a both write \.\/out\/m\.onnx/,
    ],
    [
      'a job that reads what another one writes',
      [job('a', './m', '-o', 'm.onnx'), job('b', './m.onnx', '-o', 'n.onnx')],
      /b reads \.\/m\.onnx, which a writes/,
    ],
  ])('with %s is refused', (_, lines, message) => {
    expect(() => read(...lines)).toThrow(message);
  });
});

test('what a job writes is named behind a flag or joined to it', () => {
  expect(outputsOf(['m', '-o', 'a.onnx', '--report=r.html', '--samples', '3'], FLAGS)).toEqual(['a.onnx', 'r.html']);
  expect(outputsOf(['m', '-o'], FLAGS)).toEqual([]);
});

test('shards share out all jobs, each to one', () => {
  const jobs = Array.from({ length: 7 }, (_, i) => job(`j${i}`));
  const shards = [1, 2, 3].map((index) => jobsOfShard(jobs, { index, count: 3 }).map(({ name }) => name));
  expect(shards).toEqual([
    ['j0', 'j3', 'j6'],
    ['j1', 'j4'],
    ['j2', 'j5'],
  ]);
  expect(() => jobsOfShard(jobs, { index: 0, count: 3 })).toThrow('0/3 is none of 1 to 3');
  expect(() => jobsOfShard(jobs, { index: 4, count: 3 })).toThrow('4/3 is none of 1 to 3');
});
