import { describe, expect, test } from 'vitest';
import { readSampleText } from '../../src/samples/sample-text.ts';
import { readSampleTable } from '../../src/samples/samples.ts';
import { countedFile, memoryFile } from '../formats/memory-file.ts';

const LIMITS = { wholeBytes: 20, headBytes: 12, lines: 100, lineBytes: 15 };
const read = (text: string, limits = {}, name = 'a.txt') =>
  readSampleText(memoryFile(name, Buffer.from(text)), { ...LIMITS, ...limits });

describe('of a file', () => {
  test('all is read up to the limit', () => {
    expect(read('aaa\nbbb\nccc\nddd\neeee')).toEqual({ text: 'aaa\nbbb\nccc\nddd\neeee', partBytes: undefined });
  });

  test.each([
    ['LF', 'aaa\nbbb\nccc ccc\nddd\neee', 'aaa\nbbb\n'],
    ['CRLF', 'aaa\r\nbbb\r\nccc\r\nddd\r\neee', 'aaa\r\nbbb\r\n'],
    ['CR', 'aaa\rbbb\rccc ccc\rddd\reee', 'aaa\rbbb\r'],
    ['a letter of two bytes at the border', 'aaa\nbbb\nccäää\nddd\neee', 'aaa\nbbb\n'],
  ])('that is larger the beginning is read, whole lines: %s', (_, text, head) => {
    expect(read(text)).toEqual({ text: head, partBytes: Buffer.byteLength(head) });
  });

  test('that has more lines than are taken the first are read', () => {
    expect(read('a\nb\nc\nd\n', { lines: 2 })).toEqual({ text: 'a\nb\n', partBytes: 4 });
    expect(read('a\nb\n', { lines: 2 })).toEqual({ text: 'a\nb\n', partBytes: undefined });
  });

  test('of many gigabytes only the beginning leaves the disk', () => {
    const { file, bytesRead } = countedFile('a.txt', Buffer.from('one line\n'.repeat(10_000)));
    readSampleText(file, { ...LIMITS, headBytes: 1000, wholeBytes: 2000 });
    expect(bytesRead()).toBe(1000);
  });
});

test.each([
  ['in the middle', `a\n${'b'.repeat(16)}\nc`, 2],
  ['at the end', `a\nb\n${'c'.repeat(16)}`, 3],
  ['of a beginning that has no other', 'x'.repeat(50), 1],
])('a line that is too long to be a text is refused, %s', (_, text, line) => {
  expect(() => read(text, { wholeBytes: 40, headBytes: 30 })).toThrow(
    expect.objectContaining({ code: 'MALFORMED', message: `a.txt: line ${line}: is over 15 bytes long` }),
  );
});

describe('JSON that is one value', () => {
  test.each([
    ['an array', '["a text that is longer than a line"]'],
    ['an array by its name', '[1, 2, 3, 4, 5, 6, 7, 8]', 'a.json'],
    ['SQuAD', '{"version": "1.1", "data": []}'],
  ])('has no lines, and is refused where it is too large: %s', (_, text, name = 'a.txt') => {
    expect(read(text, { wholeBytes: 100 }, name).text).toBe(text);
    expect(() => read(text, { headBytes: 28 }, name)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });

  test('is not what begins with a token in brackets', () => {
    expect(read('[CLS]\nb\n[SEP] cccccccccc').text).toBe('[CLS]\nb\n');
  });
});

test('a quoted cell that the beginning of a file cuts through is left out', () => {
  const csv = 'text,label\n"a, b",1\n"c\n';
  expect(readSampleTable(csv, 'a.csv', {}, true).samples).toEqual([{ texts: ['a, b'], label: 1 }]);
  expect(() => readSampleTable(csv, 'a.csv', {})).toThrow('a quoted cell has no end');
});
