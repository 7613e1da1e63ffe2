import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasColours, warn } from '../../src/commands/io.ts';
import { showProgress } from '../../src/commands/progress.ts';
import { printResult, refuseReport, wantsPage } from '../../src/commands/report.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

function recorded(colours = false) {
  const out: string[] = [];
  const err: string[] = [];
  return { out, err, io: { out: (text: string) => out.push(text), err: (text: string) => err.push(text), colours } };
}

describe('colours', () => {
  test.each<[NodeJS.ProcessEnv, boolean, boolean]>([
    [{}, true, true],
    [{}, false, false],
    [{ TERM: 'dumb' }, true, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ FORCE_COLOR: '' }, false, false],
  ])('with %j on a terminal (%s): %s', (variables, isTerminal, expected) => {
    expect(hasColours(variables, isTerminal)).toBe(expected);
  });

  test('are those of the word in front alone', () => {
    const { io, err } = recorded(true);
    warn(io, ['a: b']);
    expect(err).toEqual(['\u001b[33mwarning:\u001b[39m a: b\n']);
  });
});

describe('progress', () => {
  test('is nothing where the output has no place for it, but notes are told', () => {
    const { io, err } = recorded();
    const progress = showProgress(io, 'normal');
    progress.step('reading');
    progress.note('texts.txt: 3 samples, lines of text');
    progress.clear();
    expect(err).toEqual(['note: texts.txt: 3 samples, lines of text\n']);
  });

  test('is quiet, notes too', () => {
    const { io, err } = recorded();
    const progress = showProgress({ ...io, live: { isTerminal: true, columns: 80 } }, 'quiet');
    progress.step('reading');
    progress.note('a note');
    progress.clear();
    expect(err).toEqual([]);
  });
});

test('warnings are lines of their own, each once, beside the result', () => {
  const { io, err, out } = recorded();
  warn(io, ['a: b', 'c: d', 'a: b']);
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
    const { io, out } = recorded();
    await printResult(io, { format, ...(json && { json }) }, forms);
    expect(out).toEqual([expected]);
  });

  test('is written as a page besides, into a folder that may be new', async () => {
    const { io, out } = recorded();
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
