import { expect, test } from 'vitest';
import { jsonText } from '../../src/reports/json.ts';

test('JSON has no character that a terminal obeys, and reads back as it was', () => {
  const names = ['\u009b31mred', '\u007f', '\u202eabc', '##[error]', 'two\nlines', 'naïve 東京'];
  const text = jsonText({ names });
  expect(text).not.toMatch(/(?!\n)\p{Cc}|[\u202a-\u202e]|##\[/u);
  expect(text).toContain('naïve 東京');
  expect(text.split('\n')).toHaveLength(11);
  expect(JSON.parse(text)).toEqual({ version: 1, names });
});
