import { describe, expect, test } from 'vitest';
import * as parsers from '../../src/commands/parsers.ts';

type Row = readonly [
  name: string,
  parse: (text: string) => unknown,
  good: readonly (readonly [string, unknown])[],
  bad: readonly string[],
];

const rows: readonly Row[] = [
  [
    'scheme',
    parsers.scheme,
    [
      ['int8', 'int8'],
      ['int16x8', 'int16x8'],
      ['w8a16', 'int16x8'],
    ],
    ['w8', 'W8A16', ''],
  ],
  [
    'positiveInteger',
    parsers.positiveInteger,
    [
      ['1', 1],
      ['1e3', 1000],
      [' 7 ', 7],
    ],
    ['0', '-1', '1.5', '', 'x', '9007199254740993', 'Infinity', 'NaN'],
  ],
  [
    'nonNegativeInteger',
    parsers.nonNegativeInteger,
    [
      ['0', 0],
      [' 0 ', 0],
      ['3', 3],
    ],
    ['-1', '', '0.5'],
  ],
  [
    'integer',
    parsers.integer,
    [
      ['0', 0],
      ['-3', -3],
      ['12', 12],
    ],
    ['', ' ', '1.5', 'x', '1e99'],
  ],
  [
    'percentage',
    parsers.percentage,
    [
      ['0', 0],
      ['0.5', 0.5],
      ['100', 100],
    ],
    ['', ' ', '-0.1', '100.1', 'x', 'NaN'],
  ],
  [
    'byteSize',
    parsers.byteSize,
    [
      ['8MB', 8e6],
      ['8.5 mb', 8.5e6],
      ['8.2MB', 8.2e6],
      ['1GB', 1e9],
      ['200kB', 2e5],
      ['17', 17],
      ['17 B', 17],
      ['1.5', 1],
    ],
    ['', 'MB', '8 TB', '-1MB', '8MB or so', '1,5MB'],
  ],
  [
    'embeddingRank',
    parsers.embeddingRank,
    [
      ['128', 128],
      ['95%', { share: 0.95 }],
      ['99.5 %', { share: 0.995 }],
      ['100%', { share: 1 }],
    ],
    ['0', '0%', '101%', '-5%', '12.5', 'x%'],
  ],
  [
    'integerOrDynamic',
    parsers.integerOrDynamic,
    [
      ['dynamic', 'dynamic'],
      ['64', 64],
    ],
    ['0', 'any', 'Dynamic'],
  ],
  [
    'stepCount',
    parsers.stepCount,
    [
      ['auto', 'auto'],
      ['500', 500],
      ['15min', { minutes: 15 }],
      ['1.5 h', { minutes: 90 }],
    ],
    ['0', '1.5', '0min', '15m', '-1h', 'h', 'Auto'],
  ],
  [
    'regularExpression',
    parsers.regularExpression,
    [
      ['layer\\.0', /layer\.0/],
      ['', /(?:)/],
    ],
    ['(', '[', '*'],
  ],
  [
    'nonNegative',
    parsers.nonNegative,
    [
      ['0', 0],
      ['1e-5', 1e-5],
      ['2.5', 2.5],
    ],
    ['', ' ', '-1', 'x', 'Infinity', 'NaN'],
  ],
  [
    'byteSizes',
    parsers.byteSizes,
    [
      ['4MB', [4e6]],
      ['4MB, 8.2MB', [4e6, 8.2e6]],
    ],
    ['', ',', '4MB,', '4MB,,8MB', '0', '0MB,4MB', 'x'],
  ],
  [
    'shares',
    parsers.shares,
    [
      ['0.3', [0.3]],
      ['0.3,0.5', [0.3, 0.5]],
    ],
    ['', ',', '0.3,', '0', '1', '30%', 'x'],
  ],
  [
    'names',
    parsers.names,
    [
      ['a,b', ['a', 'b']],
      [' a , b* ,', ['a', 'b*']],
      ['', []],
    ],
    [],
  ],
];

describe.each(rows)('%s', (_, parse, good, bad) => {
  test.each(good)('reads %j', (text, value) => {
    expect(parse(text)).toEqual(value);
  });

  test.each(bad)('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'commander.invalidArgument' }));
  });
});
