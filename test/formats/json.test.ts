import { describe, expect, test } from 'vitest';
import { isObject, type JsonValue, jsonText, parseJson } from '../../src/formats/json.ts';
import { fc } from '../fast-check.ts';

/** Plain objects in place of maps, for comparison with JSON.parse. */
function plain(value: JsonValue): unknown {
  if (isObject(value)) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

describe('reads', () => {
  test.each([
    ['null', null],
    [' true ', true],
    ['false', false],
    ['-0', -0],
    ['12.5e-3', 0.0125],
    ['1e400', Number.POSITIVE_INFINITY],
    ['""', ''],
    [String.raw`"a\"b\\c\u00e9\n"`, 'a"b\\cé\n'],
    ['"é😀"', 'é😀'],
    ['[]', []],
    ['[1, [2, "]"], {}]', [1, [2, ']'], {}]],
    ['{"a": {"b": [null]}, "": 1}', { a: { b: [null] }, '': 1 }],
  ])('%s', (text, value) => {
    expect(plain(parseJson(text, 'x.json'))).toEqual(value);
  });

  test('__proto__ as a name like any other', () => {
    const value = parseJson('{"__proto__": {"hidden_size": 1}, "constructor": 2}', 'x.json');
    expect(isObject(value) && [...value.keys()]).toEqual(['__proto__', 'constructor']);
    expect(({} as { hidden_size?: number }).hidden_size).toBeUndefined();
  });

  test('what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(plain(parseJson(text, 'x.json'))).toEqual(JSON.parse(text));
      }),
    );
  });
});

describe('refuses', () => {
  test.each([
    ['', 'is not JSON: it ends too early (line 1, column 1)'],
    ['{"a": 1', 'is not JSON: it ends too early (line 1, column 8)'],
    ['{"a": 1,\n "b": tru}', 'is not JSON: unexpected "t" (line 2, column 7)'],
    ['{"a" 1}', 'is not JSON: unexpected "1" (line 1, column 6)'],
    ['{a: 1}', 'is not JSON: unexpected "a" (line 1, column 2)'],
    ['[1, ]', 'is not JSON: unexpected "]" (line 1, column 5)'],
    ['[01]', 'is not JSON: unexpected "1" (line 1, column 3)'],
    ['NaN', 'is not JSON: unexpected "N" (line 1, column 1)'],
    ['{} {}', 'has text after its end (line 1, column 4)'],
    ['"abc', 'is not JSON: it ends too early (line 1, column 5)'],
    ['"a\nb"', 'is not JSON: control character in a string (line 1, column 3)'],
    [String.raw`["\x"]`, 'is not JSON: bad escape in a string (line 1, column 2)'],
    ['{"a": 1,\n\n "b": 2,\n  "a": 3}', '"a" occurs twice (line 4, column 3)'],
    [String.raw`{"a": 1, "\u0061": 2}`, '"a" occurs twice (line 1, column 10)'],
    ['['.repeat(65), 'is nested deeper than 64 levels (line 1, column 65)'],
    ['{"a":'.repeat(100_000), 'is nested deeper than 64 levels (line 1, column 321)'],
  ])('%.20s', (text, problem) => {
    expect(() => parseJson(text, 'x.json')).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: `x.json: ${problem}` }),
    );
  });

  test('what JSON.parse refuses, and duplicate keys besides', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (text, at, inserted) => {
        const place = at % (text.length + 1);
        const broken = text.slice(0, place) + inserted + text.slice(place);
        const ours = accepts(() => parseJson(broken, 'x.json'));
        expect(ours && !accepts(() => JSON.parse(broken))).toBe(false);
      }),
    );
  });
});

function accepts(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

test('shows values shortly in messages', () => {
  expect(jsonText(parseJson('{"a": 1}', 'x'))).toBe('an object');
  expect(jsonText([1])).toBe('an array');
  expect(jsonText('64px')).toBe('"64px"');
  expect(jsonText('x'.repeat(100))).toBe(`"${'x'.repeat(59)}…`);
});
