import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { showProgress, warn } from '../../src/commands/io.ts';
import { printResult, refuseReport, wantsPage } from '../../src/commands/report.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

function recorded(isTerminal: boolean) {
  const out: string[] = [];
  const err: string[] = [];
  return { out, err, io: { out: (text: string) => out.push(text), err: (text: string) => err.push(text), isTerminal } };
}

describe('progress', () => {
  test('is one line that the next one takes the place of', () => {
    const { io, err } = recorded(true);
    const progress = showProgress(io);
    progress.step('calibrating', 1, 3);
    progress.step('calibrating', 3, 3);
    progress.step('writing');
    progress.clear();
    expect(err).toEqual(['\rcalibrating 33 %', '\rcalibrating 100 %', '\rwriting          ', '\r       \r']);
  });

  test('is not written again where it is the same, nor above 100 %', () => {
    const { io, err } = recorded(true);
    const progress = showProgress(io);
    progress.step('reading', 1, 1000);
    progress.step('reading', 2, 1000);
    progress.step('reading', 3000, 1000);
    progress.step('reading', 1, 0);
    expect(err).toEqual(['\rreading 0 %', '\rreading 100 %', '\rreading      ']);
  });

  test('is nothing without a terminal, and nothing to clear', () => {
    const { io, err } = recorded(false);
    const progress = showProgress(io);
    progress.step('reading');
    progress.clear();
    expect(err).toEqual([]);
    showProgress(recorded(true).io).clear();
  });
});

test('warnings are lines of their own, beside the result', () => {
  const { io, err, out } = recorded(false);
  warn(io, new Set(['a: b', 'c: d']));
  expect({ err, out }).toEqual({ err: ['warning: a: b\n', 'warning: c: d\n'], out: [] });
});

describe('a result', () => {
  const forms = { text: () => 'as text', json: () => '{}', html: async () => '<page>\n' };

  test.each([
    ['text', undefined, 'as text\n'],
    ['json', undefined, '{}\n'],
    ['html', undefined, '<page>\n'],
    ['text', true, '{}\n'],
    ['html', true, '{}\n'],
  ] as const)('of --format %s, --json %s is printed as %j', async (format, json, expected) => {
    const { io, out } = recorded(false);
    await printResult(io, { format, ...(json && { json }) }, forms);
    expect(out).toEqual([expected]);
  });

  test('is written as a page besides, into a folder that may be new', async () => {
    const { io, out } = recorded(false);
    const report = join(folder, 'new', 'page.html');
    await printResult(io, { format: 'text', report }, forms);
    expect(out).toEqual(['as text\n']);
    expect(readFileSync(report, 'utf8')).toBe('<page>\n');
  });

  test('wants a page where one is written or printed', () => {
    expect(wantsPage({ format: 'text' })).toBe(false);
    expect(wantsPage({ format: 'json' })).toBe(false);
    expect(wantsPage({ format: 'html' })).toBe(true);
    expect(wantsPage({ format: 'html', json: true })).toBe(false);
    expect(wantsPage({ format: 'text', report: join(folder, 'p.html') })).toBe(true);
  });

  test('is refused a page that cannot be written, before anything is done', () => {
    const [file, taken] = [join(folder, 'file'), join(folder, 'taken.html')];
    writeFileSync(file, '');
    mkdirSync(taken);
    const refusal = (message: string) => expect.objectContaining({ code: 'USAGE', message });
    expect(() => refuseReport({ format: 'text', report: taken })).toThrow(refusal(`--report: ${taken} is a folder`));
    const below = join(file, 'a', 'p.html');
    expect(() => wantsPage({ format: 'text', report: below })).toThrow(
      refusal(`--report: ${below}: ${file} is not a folder`),
    );
    expect(() => refuseReport({ format: 'text', report: join(folder, 'a', 'b', 'p.html') })).not.toThrow();
    expect(existsSync(join(folder, 'a'))).toBe(false);
    expect(() => refuseReport({ format: 'text' })).not.toThrow();
  });
});
