import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readLayerMap } from '../../../src/pipelines/evaluate/layer-map.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const pairs = (how: string, students: number, teachers: number) =>
  readLayerMap(how, students, teachers).map(({ student, teacher }) => `${student}<-${teacher}`);
const file = (json: string) => {
  const path = join(folder, 'map.json');
  writeFileSync(path, json);
  return path;
};

describe('reads', () => {
  test.each([
    ['1:1', 3, 3, ['0<-0', '1<-1', '2<-2']],
    ['1:2', 2, 4, ['0<-1', '1<-3']],
    ['2:1', 4, 2, ['1<-0', '3<-1']],
    ['3:1', 3, 1, ['2<-0']],
  ])('%s for %i and %i layers', (how, students, teachers, expected) => {
    expect(pairs(how, students, teachers)).toEqual(expected);
  });

  test('a JSON map in the order of the student', () => {
    expect(pairs(file('{"1": 5, "0": 2}'), 2, 6)).toEqual(['0<-2', '1<-5']);
  });
});

describe('refuses', () => {
  test.each([
    ['1:1', 6, 12, 'MISMATCH', '--layers 1:1: the student has 6 layers, the teacher 12'],
    ['2:3', 6, 12, 'MISMATCH', '--layers 2:3: the student has 6 layers, the teacher 12'],
    ['0:1', 2, 2, 'USAGE', '--layers 0:1: both numbers must be 1 or more'],
  ])('%s for %i and %i layers', (how, students, teachers, code, message) => {
    expect(() => readLayerMap(how, students, teachers)).toThrow(expect.objectContaining({ code, message }));
  });

  test('the hint says what fits', () => {
    expect(() => readLayerMap('1:1', 6, 12)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('as 1:2;') }),
    );
  });

  test.each([
    ['[1]', 'MALFORMED', 'is an array, not an object'],
    ['{}', 'MALFORMED', 'names no layer'],
    ['{"2": 0}', 'MISMATCH', 'layer "2": the student has layers 0 to 1'],
    ['{"-1": 0}', 'MISMATCH', 'layer "-1": the student has layers 0 to 1'],
    ['{"0": 3}', 'MISMATCH', 'layer "0": is taught by 3, the teacher has layers 0 to 2'],
    ['{"0": "a"}', 'MISMATCH', 'layer "0": is taught by "a", the teacher has layers 0 to 2'],
    ['{', 'MALFORMED', ''],
  ])('a file %s', (json, code, problem) => {
    const path = file(json);
    expect(() => readLayerMap(path, 2, 3)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(`${path}: ${problem}`.trim()) }),
    );
  });

  test('a file that is not there', () => {
    expect(() => readLayerMap(join(folder, 'none.json'), 2, 3)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });
});
