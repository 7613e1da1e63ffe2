import { Option } from 'commander';
import { type CommandFlags, commonFlags, type Flag } from './command.ts';

/** Shells that completions are written for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that makes a shell complete commands, flags and what flags take. */
export function completionScript(shell: Shell, commands: readonly CommandFlags[]): string {
  return SCRIPTS[shell](commands.map(wordsOf));
}

const SCRIPTS: { readonly [S in Shell]: (commands: readonly Words[]) => string } = { bash, zsh, fish };

interface Words {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly FlagWords[];
}

interface FlagWords {
  readonly long: string;
  readonly short: string | undefined;
  readonly says: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

function wordsOf({ name, summary, flags }: CommandFlags): Words {
  return { name, summary, flags: [...flags, ...commonFlags].map(flagWords) };
}

function flagWords({ flags, says, choices = [] }: Flag): FlagWords {
  const { long, short, required, optional } = new Option(flags);
  return { long: long ?? flags, short: short ?? undefined, says, takesValue: required || optional, choices };
}

function bash(commands: readonly Words[]): string {
  const cases = commands.map(({ name, flags }) => {
    const values = flags.filter(({ choices }) => choices.length > 0);
    const rows = values.map(({ long, choices }) => `        ${long}) words="${choices.join(' ')}" ;;`);
    const files = flags.filter(({ takesValue, choices }) => takesValue && choices.length === 0);
    const open = files.flatMap(({ long, short }) => (short ? [short, long] : [long])).join('|');
    return [
      `    ${name})`,
      '      case "$previous" in',
      ...rows,
      ...(open === '' ? [] : [`        ${open}) words="" ;;`]),
      `        *) words="${flags.map(({ long }) => long).join(' ')}" ;;`,
      '      esac ;;',
    ].join('\n');
  });
  return `# Completions of mbert for bash: mbert completion bash > ~/.local/share/bash-completion/completions/mbert
_mbert() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} help" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [ -n "$words" ] && { [[ "$current" == -* ]] || [[ "$words" != -* ]]; }; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o default -F _mbert mbert`;
}

function zsh(commands: readonly Words[]): string {
  const list = commands.map(({ name, summary }) => `    ${quoted(`${name}:${escaped(summary, ':')}`)}`);
  const cases = commands.map(({ name, flags }) => {
    const rows = flags.map((flag) => `        ${quoted(zshFlag(flag))}`);
    return [
      `      ${name})`,
      '        _arguments \\',
      ...rows.map((row) => `  ${row} \\`),
      "          '*:file:_files' ;;",
    ].join('\n');
  });
  return `#compdef mbert
# Completions of mbert for zsh: mbert completion zsh > a folder of $fpath, as _mbert
_mbert() {
  local -a commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=\${words[2]}
  (( CURRENT-- ))
  shift words
  case "$name" in
${cases.join('\n')}
  esac
}
_mbert "$@"`;
}

function zshFlag({ long, says, takesValue, choices }: FlagWords): string {
  const text = `${long}[${escaped(says, '[]:')}]`;
  if (choices.length > 0) return `${text}:value:(${choices.join(' ')})`;
  return takesValue ? `${text}:value:_files` : text;
}

function fish(commands: readonly Words[]): string {
  const lines = commands.flatMap(({ name, summary, flags }) => [
    `complete -c mbert -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
    ...flags.map(({ long, short, says, takesValue, choices }) =>
      [
        `complete -c mbert -n '__fish_seen_subcommand_from ${name}' -l ${long.slice(2)}`,
        ...(short ? [`-s ${short.slice(1)}`] : []),
        ...(takesValue ? ['-r'] : []),
        ...(choices.length > 0 ? [`-f -a ${quoted(choices.join(' '))}`] : []),
        `-d ${quoted(says)}`,
      ].join(' '),
    ),
  ]);
  return `# Completions of mbert for fish: mbert completion fish > ~/.config/fish/completions/mbert.fish\n${lines.join('\n')}`;
}

/** A text in single quotes, as all three shells read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function escaped(text: string, characters: string): string {
  return [...text].map((each) => (characters.includes(each) ? `\\${each}` : each)).join('');
}
