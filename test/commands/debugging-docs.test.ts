import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { changedCheckpoint } from '../diff/checkpoints.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { runCommand } from './run.ts';

/** What the page shows for each command: the lines below `$ …`, until the next one. */
const SHOWN = new Map(
  [...readFileSync('docs/debugging.md', 'utf8').matchAll(/^\$ (.+)\n((?:(?!\$ |```).*\n)*)/gm)].map(
    ([, command = '', lines = '']) => [command, lines],
  ),
);

const folder = temporaryFolder();

/** What a command of the page prints, with its files in the temporary folder. */
async function printed(command: string): Promise<string> {
  const [, name = '', ...words] = command.split(' ');
  const argv = words.map((word) => (existsSync(join(folder, word)) ? join(folder, word) : word));
  return (await runCommand(folder, name, ...argv)).out.replaceAll('<tmp>/', '');
}

beforeAll(async () => {
  const source = 'fixtures/hf-qa-layernorm-gelu';
  cpSync(source, join(folder, 'checkpoint'), { recursive: true });
  const damaged = changedCheckpoint(source, join(folder, 'damaged'), (name, values) => {
    if (name === 'mobilebert.encoder.layer.1.attention.self.query.weight') values.reverse();
  });
  cpSync(join(unpacked('fixtures/onnx-seqcls-ln-ts'), 'model.onnx'), join(folder, 'exported.onnx'));
  const passes = ['--dump-passes', join(folder, 'passes')];
  for (const [from, to] of [
    [damaged, 'wrong.onnx'],
    [join(folder, 'checkpoint'), 'right.onnx'],
  ] as const) {
    expect((await runCommand(folder, 'convert', from, '-o', join(folder, to), ...passes)).code).toBe(0);
  }
});

test.each([...SHOWN.keys()].filter((command) => /^mbert (?!convert)[^|]*$/.test(command)))('%s', async (command) => {
  expect(await printed(command)).toBe(SHOWN.get(command));
});

test('the dumps are those of the page', () => {
  expect(`${readdirSync(join(folder, 'passes')).join('\n')}\n`).toBe(SHOWN.get('ls passes'));
});

test('the lines that the page looks for are there', async () => {
  const greps = [...SHOWN].flatMap(([command, lines]) => {
    const [, source = '', word = '', file = ''] =
      /^(?:(mbert .*) \| )?grep '?([^' ]*(?: =)?)'? ?(\S*)$/.exec(command) ?? [];
    return word === '' ? [] : [{ source, word, file, lines }];
  });
  expect(greps).toHaveLength(2);
  for (const { source, word, file, lines } of greps) {
    const text = file === '' ? await printed(source) : readFileSync(join(folder, file), 'utf8');
    const found = text.split('\n').filter((line) => line.includes(word));
    expect(`${found.join('\n')}\n`).toBe(lines);
  }
});
