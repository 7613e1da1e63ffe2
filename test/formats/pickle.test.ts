import { describe, expect, test } from 'vitest';
import { type PickleFunction, type PickleRules, readPickle } from '../../src/formats/pickle.ts';
import { ByteReader } from '../../src/io/bytes.ts';
import { pack } from './memory-file.ts';
import { global, type Picklable, pickle } from './pickler.ts';

const RULES: PickleRules = {
  globals: new Map<string, PickleFunction | undefined>([
    ['math.sum', (args) => args.reduce<number>((sum, value) => sum + Number(value), 0)],
    ['math.Number', undefined],
  ]),
  persistent: (id) => ({ id }),
};

function read(bytes: Uint8Array): unknown {
  return readPickle(new ByteReader(bytes, 'x.pkl'), RULES);
}

/** Opcodes in hexadecimal and texts, the PROTO and STOP around them left out. */
function run(...parts: readonly string[]): unknown {
  const body = parts.map((part) =>
    part.startsWith("'") ? Buffer.from(part.slice(1)) : Buffer.from(part.replaceAll(' ', ''), 'hex'),
  );
  return read(Buffer.concat([Buffer.from('8002', 'hex'), ...body, Buffer.from('.')]));
}

describe('reads', () => {
  test.each<[what: string, value: Picklable, expected: unknown]>([
    ['nothing', null, null],
    ['truth', [true, false], [true, false]],
    ['numbers', [0, -1, 255, 65_536, 2 ** 40, -(2 ** 40), 1.5], [0, -1, 255, 65_536, 2 ** 40, -(2 ** 40), 1.5]],
    ['text', ['', 'naïve', '日本'], ['', 'naïve', '日本']],
    [
      'a dictionary',
      new Map([
        ['a', [1]],
        ['__proto__', [2]],
      ]),
      new Map([
        ['a', [1]],
        ['__proto__', [2]],
      ]),
    ],
    ['a call that is allowed', { call: global('math.sum'), args: [1, 2, 3] }, 6],
    ['a reference', { persistent: ['storage', '0'] }, { id: ['storage', '0'] }],
  ])('%s', (_, value, expected) => {
    expect(read(pickle(value))).toEqual(expected);
  });

  test.each<[what: string, parts: string[], expected: unknown]>([
    ['what the memo holds', ['4b07 7105 6805 86'], [7, 7]],
    ['what MEMOIZE numbered', ['4b07 94 4b08 94 6800 6801 87 86'], [7, [8, 7, 8]]],
    ['the long forms of the memo', ['4b07 7200010000 6a00010000 86'], [7, 7]],
    ['a list that grows', ['5d 4b01 61 28 4b02 4b03 65'], [1, 2, 3]],
    ['a list of what is marked', ['28 4b01 4b02 6c'], [1, 2]],
    ['a dictionary item by item', ['7d 4b01 4b02 73'], new Map([[1, 2]])],
    ['sets', ['8f 28 4b01 4b02 90 28 4b03 91 86'], [new Set([1, 2]), new Set([3])]],
    ['strings of Python 2', ['5502', "'ab", '54 02000000', "'cd", '86'], ['ab', 'cd']],
    ['long texts', ['8c02', "'ab", '8d 0200000000000000', "'cd", '86'], ['ab', 'cd']],
    ['bytes', ['43020102', '42 01000000 03', '8e 0100000000000000 04', '87'], [bytes(1, 2), bytes(3), bytes(4)]],
    ['integers of many bytes', ['8a 03 ffffff', '8b 03000000 ffff7f', '86'], [-1, 0x7fffff]],
    ['an integer beyond 2^53', ['8a0a 6cfc9c46f9206aa85019'], 0x1950a86a20f9469cfc6cn],
    ['a name from the stack', ['8c04', "'math", '8c03', "'sum", '93 28 4b01 4b02 74 81'], 3],
    ['attributes as nothing', ['7d 4b01 62'], new Map()],
    ['values that are dropped', ['4b01 4b02 30 28 4b03 31 32 86'], [1, 1]],
    ['frames', ['95 0200000000000000 4b01'], 1],
  ])('%s', (_, parts, expected) => {
    expect(run(...parts)).toEqual(expected);
  });

  test('one pickle after another', () => {
    const reader = new ByteReader(pack(pickle('first'), pickle(2)), 'x.pkl');
    expect([readPickle(reader, RULES), readPickle(reader, RULES), reader.left]).toEqual(['first', 2, 0]);
  });
});

function bytes(...values: number[]): Uint8Array {
  return Buffer.from(values);
}

describe('refuses', () => {
  test.each<[what: string, value: Picklable, problem: string]>([
    [
      'a name that is not allowed',
      global('os.system'),
      'x.pkl: pickle names os.system, which no weights need (offset 2)',
    ],
    [
      'a call of it',
      { call: global('builtins.eval'), args: ['1'] },
      'pickle names builtins.eval, which no weights need (offset 2)',
    ],
    [
      'a call of what is only a name',
      { call: global('math.Number'), args: [] },
      'pickle calls math.Number (offset 17)',
    ],
  ])('%s', (_, value, problem) => {
    expect(() => read(pickle(value))).toThrow(problem);
  });

  test.each<[what: string, parts: string[], problem: string]>([
    ['a call of a number', ['4b01 29 52'], 'pickle calls what is no function (offset 5)'],
    ['a call without a tuple', ["'cmath\nsum\n", '4b01 52'], 'pickle calls math.sum'],
    ['an unknown opcode', ['ff'], 'pickle opcode 0xff is none that torch.save writes (offset 2)'],
    ['an object of old classes', ['28 6f'], 'pickle opcode 0x6f'],
    ['an empty stack', ['30'], 'pickle takes from an empty stack'],
    ['values below a mark', ['4b01 28 61'], 'pickle takes from an empty stack'],
    ['a mark that is not there', ['74'], 'pickle has no mark'],
    ['a memo that is not there', ['6801'], 'pickle recalls 1, which was not memorized'],
    ['items of a number', ['4b01 4b02 4b03 73'], 'pickle expects a dictionary'],
    ['a key without a value', ['7d 28 4b01 75'], 'pickle has a key without a value'],
    ['an item for a dictionary', ['7d 4b01 61'], 'pickle expects a list'],
    ['a member of a list', ['5d 28 4b01 90'], 'pickle expects a set'],
    ['text that is none', ['5801000000ff'], 'is not UTF-8 text'],
    ['text beyond the end', ['58ffffffff'], 'needs 4294967295 bytes'],
    ['an integer of a gigabyte', ['8b000000ff'], 'pickle has an integer of 4278190080 bytes'],
    ['a name of a megabyte', [`'c${'x'.repeat(1e6)}`], 'pickle has a name longer than 256'],
    ['a file that ends', ['4b'], 'needs 1 bytes at offset 4, 0 are left'],
  ])('%s', (_, parts, problem) => {
    expect(() => run(...parts)).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining(problem) }),
    );
  });

  test('what nests without end', () => {
    expect(() => run('5d'.repeat(100_000))).toThrow('is nested deeper than 20000 values');
    expect(() => run('28'.repeat(100_000))).toThrow('is nested deeper than 20000 values');
  });

  test('what goes on without end', () => {
    expect(() => run('4e 30'.repeat(1_000_000))).toThrow('has more than 1000000 opcodes');
  });
});

test('aliases are shared and never expanded', () => {
  // Each list holds the one before it twice: 2^60 leaves in 300 bytes.
  const doubled = Array.from({ length: 60 }, (_, i) => `5d 28 68${hex(i)} 68${hex(i)} 65 71${hex(i + 1)} 30`);
  const root = run('4b01 7100 30', ...doubled, `68${hex(60)}`) as unknown[];
  expect(root[0]).toBe(root[1]);
});

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
