import { describe, expect, test } from 'vitest';
import { csvRecords } from '../../src/formats/csv.ts';
import { fc } from '../fast-check.ts';

const records = (text: string, separator = ',') => [...csvRecords(text, separator, 'd')].map(({ cells }) => cells);

describe('csvRecords reads', () => {
  test.each<[string, string, string[][]]>([
    [
      'bare cells, empty ones among them',
      'a,,b\n,\n',
      [
        ['a', '', 'b'],
        ['', ''],
      ],
    ],
    ['LF, CRLF and CR, with or without an end at the last line', 'a\r\nb\rc\nd', [['a'], ['b'], ['c'], ['d']]],
    ['separators, quotes and line ends in quotes', '"a,b","c""d","e\r\nf"\n', [['a,b', 'c"d', 'e\r\nf']]],
    ['empty cells in quotes, which are no empty line', '""\n\n""""\n', [[''], ['"']]],
    ['spaces as they are', ' a , b ', [[' a ', ' b ']]],
  ])('%s', (_, text, expected) => {
    expect(records(text)).toEqual(expected);
  });

  test('other separators', () => {
    expect(records('a,b;"c;d"', ';')).toEqual([['a,b', 'c;d']]);
    expect(records('a\t"b\tc"', '\t')).toEqual([['a', 'b\tc']]);
  });

  test('the line on which each record starts', () => {
    const lines = [...csvRecords('a\n"b\n\nc"\r\n\nd', ',', 'd')].map(({ line }) => line);
    expect(lines).toEqual([1, 2, 6]);
  });

  test('whatever a writer that quotes has written', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ' ') });
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 5 }), (rows) => {
        const text = rows.map((row) => row.map((each) => `"${each.replaceAll('"', '""')}"`).join(',')).join('\r\n');
        expect(records(text)).toEqual(rows);
      }),
    );
  });
});

describe('csvRecords refuses', () => {
  test.each([
    ['a quote inside a bare cell', 'a\nb "c",d', 'd: line 2: a quote inside a cell without quotes'],
    ['text behind a closing quote', '"a"b', 'd: line 1: text behind the closing quote of a cell'],
    ['a quote without an end, with the line that opens it', 'a\n"b\nc', 'd: line 2: a quoted cell has no end'],
  ])('%s', (_, text, message) => {
    expect(() => records(text)).toThrow(expect.objectContaining({ code: 'MALFORMED', message }));
  });
});
