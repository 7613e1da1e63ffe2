import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { wordsChecker } from '../../src/commands/check-words.ts';
import { commandsWithFlags } from '../../src/commands/main.ts';
import { pages } from './pages.ts';

const check = wordsChecker(await commandsWithFlags());

const BLOCK = /^```[\s\S]*?^```|^ {4}.*$/gm;
const COMMAND = /^[ \t]*(?:\$ )?(?:npx )?mbert ((?:.*\\\n)*.*)$/gm;

/** The command lines in a page's blocks of code, but for those that leave a part to the reader: `…`, `<model>`, `$INDEX`. */
function commandLinesOf(page: string): string[] {
  const blocks = readFileSync(page, 'utf8').match(BLOCK) ?? [];
  return [...blocks.join('\n').matchAll(COMMAND)]
    .map(([, line = '']) => line.replaceAll('\\\n', ' ').replace(/ +[#>|] .*$/, ''))
    .filter((line) => !/[…<$]/.test(line));
}

/** Commands that a page's text names with flags, as `mbert bench --profile`: arguments may be left out. `--help` runs none. */
function mentionsOf(page: string): string[] {
  const text = readFileSync(page, 'utf8').replace(BLOCK, '');
  return [...text.matchAll(/`(?:npx )?mbert ([^`]* -[^`]*)`/g)]
    .map(([, line = '']) => line.replaceAll('\\|', '|'))
    .filter((line) => !/[…<$]|--help\b/.test(line));
}

/** The words of a command line as a shell splits them; quoted blanks stay. */
function wordsOf(line: string): string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'));
}

function wrong(lines: readonly string[]): { readonly line: string; readonly why: string }[] {
  return lines.flatMap((line) => {
    const why = check(wordsOf(line));
    return why === undefined ? [] : [{ line, why }];
  });
}

test.each(pages)('mbert takes the command lines of %s', (page) => {
  expect(wrong(commandLinesOf(page))).toEqual([]);
  const isPart = ({ why }: { readonly why: string }) => /missing|not specified$/.test(why);
  expect(wrong(mentionsOf(page)).filter((each) => !isPart(each))).toEqual([]);
});

test('command lines are found in fences, behind a prompt, over two lines, indented, and in tables', () => {
  expect(commandLinesOf('docs/no-norm.md').map(wordsOf)).toContainEqual(
    expect.arrayContaining(['convert', 'fast.onnx', '--calibrate', 'fixtures/mobilebert-demo/sst2-train-256.txt']),
  );
  expect(commandLinesOf('docs/students.md')).toContain('verify ./student --against ./minilm --layers map.json');
  expect(mentionsOf('docs/coming-from.md')).toContain('quantize my-model -o dynamic.tflite --scheme dynamic');
});
