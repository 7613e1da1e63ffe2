import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeTemporaryFolder } from '../../src/io/temporary-folder.ts';
import { undoAll, undoAtEnd } from '../../src/io/undo.ts';

test('what is pending is undone, the newest first, whatever fails', () => {
  const undone: string[] = [];
  const entries = ['a', 'b', 'c'].map((name) => undoAtEnd(() => undone.push(name)));
  undoAtEnd(() => {
    throw new Error('gone already');
  });
  entries[1]?.forget();
  undoAll();
  expect(undone).toEqual(['c', 'a']);
  undoAll();
  expect(undone).toEqual(['c', 'a']);
});

test('a temporary folder goes with all that is in it, by itself or at the end', () => {
  const [first, second] = [makeTemporaryFolder('test'), makeTemporaryFolder('test')];
  for (const { path } of [first, second]) writeFileSync(join(path, 'file'), 'x');
  first.remove();
  expect([first, second].map(({ path }) => existsSync(path))).toEqual([false, true]);
  undoAll();
  expect(existsSync(second.path)).toBe(false);
});
