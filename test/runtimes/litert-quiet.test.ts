import { expect, test, vi } from 'vitest';
import { litert } from '../../src/runtimes/litert.ts';
import { reluModel } from './tiny-tflite.ts';

// A file of its own: the package is loaded, and binds the console, once per process.
test('litert prints nothing, leaves no globals and gives back the console', async () => {
  const { log, warn, error } = console;
  const print = vi.fn();
  Object.assign(console, { log: print, warn: print, error: print });
  const { stdout, stderr } = process;
  const spies = [vi.spyOn(stdout, 'write'), vi.spyOn(stderr, 'write')];
  try {
    const sessions = await Promise.all([litert.load(reluModel([1])), litert.load(reluModel([2]))]);
    for (const session of sessions) await session.close();
    const { warn: warnAfterwards } = console;
    expect(warnAfterwards).toBe(print);
    expect(spies.flatMap((spy) => spy.mock.calls)).toEqual([]);
    expect(print.mock.calls).toEqual([]);
  } finally {
    for (const spy of spies) spy.mockRestore();
    Object.assign(console, { log, warn, error });
  }
  expect(['importScripts', 'ModuleFactory', 'Module'].filter((name) => name in globalThis)).toEqual([]);
});
