import { expect, test } from 'vitest';
import { type Renaming, replaceFile } from '../../src/io/replace-file.ts';

/** A system whose renames fail with these codes, one each, and then succeed; `log` has what was done. */
function failing(platform: NodeJS.Platform, ...codes: readonly string[]): Renaming & { readonly log: string[] } {
  const log: string[] = [];
  const left = [...codes];
  return {
    log,
    platform,
    rename(from, to) {
      log.push(`${from} -> ${to}`);
      const code = left.shift();
      if (code !== undefined) throw Object.assign(new Error(`${code}: rename`), { code, syscall: 'rename' });
    },
    pause: (timeMs) => log.push(`${timeMs} ms`),
  };
}

test('on Windows a file that is open elsewhere is tried again, after longer pauses', () => {
  const system = failing('win32', 'EPERM', 'EBUSY', 'EACCES');
  replaceFile('a', 'b', system);
  expect(system.log).toEqual(['a -> b', '10 ms', 'a -> b', '20 ms', 'a -> b', '40 ms', 'a -> b']);
});

test('one that stays open is refused by name', () => {
  const system = failing('win32', ...Array<string>(20).fill('EBUSY'));
  expect(() => replaceFile('a', 'out\\m.onnx', system)).toThrow(
    'out\\m.onnx: cannot be written: is in use by another program',
  );
  expect(system.log.filter((line) => line.endsWith('ms'))).toHaveLength(7);
});

test.each([
  ['another error', 'win32', 'ENOSPC'],
  ['another system', 'linux', 'EPERM'],
] as const)('%s is not tried again', (_, platform, code) => {
  const system = failing(platform, code);
  expect(() => replaceFile('a', 'b', system)).toThrow('b: cannot be written');
  expect(system.log).toEqual(['a -> b']);
});
