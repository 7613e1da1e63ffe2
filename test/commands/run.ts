import { main } from '../../src/commands/main.ts';

export interface RunResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, without a terminal. Paths below `folder` are shown as `<tmp>`. */
export async function runCommand(folder: string, ...argv: readonly string[]): Promise<RunResult> {
  let out = '';
  let err = '';
  const io = {
    out(text: string) {
      out += text;
    },
    err(text: string) {
      err += text;
    },
  };
  const code = await main(argv, io);
  const shown = (text: string) => text.replaceAll(folder, '<tmp>');
  return { code, out: shown(out), err: shown(err) };
}
