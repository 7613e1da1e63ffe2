import { expect, test } from 'vitest';
import { unifiedDiff } from '../../src/observers/line-diff.ts';
import { fc } from '../fast-check.ts';

const diff = (before: string, after: string) =>
  unifiedDiff({ name: 'before', text: before }, { name: 'after', text: after });

/** What `patch` makes of a text: hunks checked against it line by line. */
function patched(text: string, unified: string): string {
  const source = text.split('\n');
  const result: string[] = [];
  let at = 0;
  for (const line of unified.split('\n').slice(2)) {
    const [, start, count] = /^@@ -(\d+),(\d+) /.exec(line) ?? [];
    if (start !== undefined) {
      const from = count === '0' ? Number(start) : Number(start) - 1;
      result.push(...source.slice(at, from));
      at = from;
      continue;
    }
    if (line[0] !== '+') expect(source[at++]).toBe(line.slice(1));
    if (line[0] !== '-') result.push(line.slice(1));
  }
  return [...result, ...source.slice(at)].join('\n');
}

test('shows what was taken out and put in, with three lines around it', () => {
  const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o'];
  const after = before.toSpliced(13, 1, 'N').toSpliced(4, 1).toSpliced(0, 0, 'new');
  expect(diff(before.join('\n'), after.join('\n'))).toMatchInlineSnapshot(`
    "--- before
    +++ after
    @@ -1,8 +1,8 @@
    +new
     a
     b
     c
     d
    -e
     f
     g
     h
    @@ -11,5 +11,5 @@
     k
     l
     m
    -n
    +N
     o"
  `);
});

test('a line that moved is the only one that changes', () => {
  const lines = Array.from({ length: 40 }, (_, i) => `line ${i}`);
  const moved = [...lines.slice(1, 30), lines[0], ...lines.slice(30)];
  const changed = diff(lines.join('\n'), moved.join('\n')).match(/^[-+]line .*$/gm);
  expect(changed).toEqual(['-line 0', '+line 0']);
});

test('equal texts have no diff', () => {
  expect(diff('a\nb', 'a\nb')).toBe('');
});

test('whatever the texts are, the diff leads from one to the other', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), { minLength: 1, maxLength: 24 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [before, after] = [a.join('\n'), b.join('\n')];
      expect(patched(before, diff(before, after))).toBe(after);
    }),
  );
});

test('of lines that stand once, as many stay as can', () => {
  const shuffled = fc.shuffledSubarray(Array.from({ length: 12 }, (_, i) => String(i)));
  fc.assert(
    fc.property(shuffled, shuffled, (a, b) => {
      const removed = diff(a.join('\n'), b.join('\n')).match(/^-\d/gm)?.length ?? 0;
      expect(a.length - removed).toBe(longestCommon(a, b));
    }),
  );
});

/** The length of the longest common subsequence, by its definition. */
function longestCommon(a: readonly string[], b: readonly string[]): number {
  const rows = a.reduce(
    (above, line) => {
      const row = [0];
      b.forEach((other, i) => {
        const longest = Math.max(above[i + 1] as number, row[i] as number);
        row.push(line === other ? (above[i] as number) + 1 : longest);
      });
      return row;
    },
    new Array<number>(b.length + 1).fill(0),
  );
  return rows.at(-1) as number;
}
