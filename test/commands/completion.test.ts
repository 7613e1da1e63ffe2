import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { completionScript } from '../../src/commands/completion-script.ts';
import { commandsWithFlags } from '../../src/commands/main.ts';
import { runCommand } from './run.ts';

const commands = await commandsWithFlags();

/** What bash offers for the last of some words. */
function offered(...words: readonly string[]): string[] {
  const script = `${completionScript('bash', commands)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; COMPREPLY=(left over)
_mbert; echo "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).trim();
  return out === '' ? [] : out.split(' ');
}

describe('bash completes', () => {
  test('commands', () => {
    expect(offered('mbert', '')).toEqual([...commands.map(({ name }) => name), 'help']);
    expect(offered('mbert', 'qu')).toEqual(['quantize']);
  });

  test('the flags of a command, common ones among them', () => {
    expect(offered('mbert', 'quantize', '--sc')).toEqual(['--scheme']);
    expect(offered('mbert', 'convert', '--sc')).toEqual([]);
    expect(offered('mbert', 'inspect', '--q')).toEqual(['--quiet']);
  });

  test('what a flag takes', () => {
    expect(offered('mbert', 'convert', '--dtype', '')).toEqual(['f32', 'f16']);
    expect(offered('mbert', 'diff', '--level', 'rai')).toEqual(['raised']);
  });

  test('paths, by itself, where paths stand', () => {
    expect(offered('mbert', 'quantize', 'mod')).toEqual([]);
    expect(offered('mbert', 'convert', '-o', '')).toEqual([]);
  });
});

test('zsh and fish get every flag with its line, quotes and colons escaped', () => {
  const flags = [
    { flags: '-x, --ex <a>', says: "it's: [so]", choices: ['p', 'q'] },
    { flags: '--plain', says: 'no value' },
  ];
  const some = [{ name: 'do', args: '<file>', summary: 'what: is', flags }];
  const zsh = completionScript('zsh', some);
  expect(zsh).toContain("'do:what\\: is'");
  expect(zsh).toContain("'--ex[it'\\''s\\: \\[so\\]]:value:(p q)' \\");
  expect(zsh).toContain("'--plain[no value]' \\");
  const fish = completionScript('fish', some).split('\n');
  expect(fish).toContain(
    "complete -c mbert -n '__fish_seen_subcommand_from do' -l ex -s x -r -f -a 'p q' -d 'it'\\''s: [so]'",
  );
  expect(fish).toContain("complete -c mbert -n '__fish_seen_subcommand_from do' -l plain -d 'no value'");
});

test('a shell that nobody knows is refused by name', async () => {
  expect(await runCommand('<none>', 'completion', 'tcsh')).toEqual({
    code: 2,
    out: '',
    err: 'completion: tcsh: is no shell that mbert knows\nhint: they are bash, zsh, fish\n',
  });
});
