import type { Command } from 'commander';
import { passes } from '../passes/index.ts';
import { passesText } from '../reports/text.ts';
import type { Action } from './action.ts';

export function addPasses(program: Command, action: Action): void {
  program
    .command('passes')
    .summary('list the passes')
    .description(
      'Lists the passes in the order in which they run, what each keeps and when it runs without being asked for.',
    )
    .option('--json', 'print them as JSON')
    .action(
      action(async (io, _, options: { readonly json?: true }) => {
        const rows = passes.map(({ pass: { name, summary, keeps }, runs }) => ({ name, summary, keeps, runs }));
        io.out(`${options.json ? JSON.stringify(rows, null, 2) : passesText(rows)}\n`);
        return 0;
      }),
    );
}
