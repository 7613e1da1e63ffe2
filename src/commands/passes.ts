import { passes } from '../passes/index.ts';
import { passesText } from '../reports/text.ts';
import { type CommandSpec, saying } from './command.ts';
import { json } from './flags.ts';

export const command: CommandSpec<{ readonly json?: true }> = {
  description:
    'Lists the passes in the order in which they run, what each keeps and when it runs without being asked for.',
  flags: [saying(json, 'print them as JSON')],
  examples: [],
  async run({ io, options }) {
    const rows = passes.map(({ pass: { name, summary, keeps }, runs }) => ({ name, summary, keeps, runs }));
    io.out(`${options.json ? JSON.stringify(rows, null, 2) : passesText(rows)}\n`);
    return 0;
  },
};
