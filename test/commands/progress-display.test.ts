import { describe, expect, test } from 'vitest';
import { type DisplayOptions, ProgressDisplay } from '../../src/commands/progress-display.ts';

function display(options: Partial<DisplayOptions> = {}) {
  const written: string[] = [];
  const write = (text: string) => written.push(text);
  const shown = new ProgressDisplay(0, { form: 'line', columns: 80, quietMs: 0, isVerbose: false, write, ...options });
  return { shown, written };
}

const bare = (line: string | undefined) => line?.replace('\r', '').replace('\u001b[K', '');

describe('on a terminal', () => {
  test('a line says stage, step, share and time, and is written over', () => {
    const { shown, written } = display();
    shown.set({ step: 'calibrating', done: 1, total: 3, stage: { number: 3, of: 7 } }, 1000);
    expect(written).toEqual(['\r[3/7] calibrating 33 % (1 s)\u001b[K']);
    shown.set({ step: 'writing' }, 62_000);
    expect(written[1]).toBe('\rwriting (1 min 2 s)\u001b[K');
  });

  test('each tick is a sign of life, before the next report comes', () => {
    const { shown, written } = display();
    shown.tick(500);
    expect(written).toEqual([]);
    shown.set({ step: 'running passes' }, 1000);
    shown.tick(2000);
    shown.tick(3000);
    expect(written.map(bare)).toEqual(['running passes (1 s)', 'running passes (2 s)', 'running passes (3 s)']);
  });

  test('the rest of a step is told by its pace so far, not by what came before it', () => {
    const { shown, written } = display();
    shown.set({ step: 'reading' }, 0);
    shown.set({ step: 'comparing', done: 0, total: 100 }, 50_000);
    shown.set({ step: 'comparing', done: 10, total: 100 }, 51_000);
    shown.set({ step: 'comparing', done: 20, total: 100 }, 54_000);
    expect(written.map(bare).slice(2)).toEqual(['comparing 10 % (51 s)', 'comparing 20 % (54 s, 16 s left)']);
  });

  test('reports that follow at once are not all written, but the last is', () => {
    const { shown, written } = display();
    for (let done = 1; done <= 10; done++) shown.set({ step: 'running', done, total: 10 }, done);
    expect(written.map(bare)).toEqual(['running 10 % (0 s)', 'running 100 % (0 s)']);
  });

  test('a line never reaches the last column', () => {
    const { shown, written } = display({ columns: 12 });
    shown.set({ step: 'a step with a long name' }, 0);
    expect(bare(written[0])).toBe('a step wit…');
  });

  test('is taken off once, and only where there is one', () => {
    const { shown, written } = display();
    shown.clear();
    shown.set({ step: 'reading' }, 0);
    shown.clear();
    shown.clear();
    expect(written).toEqual(['\rreading (0 s)\u001b[K', '\r\u001b[K']);
  });
});

describe('in a log', () => {
  test('each step has a line, a long one another every ten seconds', () => {
    const { shown, written } = display({ form: 'log' });
    shown.set({ step: 'reading', stage: { number: 1, of: 2 } }, 0);
    shown.set({ step: 'running', done: 0, total: 100, stage: { number: 2, of: 2 } }, 1000);
    for (let second = 2; second <= 22; second++)
      shown.set({ step: 'running', done: second, total: 100, stage: { number: 2, of: 2 } }, 1000 * second);
    expect(written).toEqual([
      '[1/2] reading (0 s)\n',
      '[2/2] running 0 % (1 s)\n',
      '[2/2] running 11 % (11 s, 81 s left)\n'.replace('81 s', '1 min 21 s'),
      '[2/2] running 21 % (21 s, 1 min 15 s left)\n',
    ]);
  });

  test('nothing is told of a call that is short; of a longer one, the step it is at', () => {
    const { shown, written } = display({ form: 'log', quietMs: 2000 });
    shown.set({ step: 'reading' }, 0);
    shown.set({ step: 'running passes' }, 500);
    shown.tick(1999);
    expect(written).toEqual([]);
    shown.tick(2000);
    shown.tick(2500);
    expect(written).toEqual(['running passes (2 s)\n']);
  });

  test('steps that are told say what they took, where that is asked for', () => {
    const { shown, written } = display({ form: 'log', isVerbose: true });
    shown.set({ step: 'reading' }, 0);
    shown.set({ step: 'writing' }, 3000);
    expect(written).toEqual(['reading (0 s)\n', 'reading took 3 s\n', 'writing (3 s)\n']);
  });
});
