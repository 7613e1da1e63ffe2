import { existsSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { MbertError } from '../errors.ts';
import { writeFiles } from '../files.ts';

/** Of commands whose result can be looked at. */
export function addReportOption(command: Command): Command {
  return command.option('--report <file>', 'write an HTML page besides: the graph, tables and plots in one file');
}

/** Before the work, so that a long run does not end with a page that cannot be written. */
export function refuseReport(path: string | undefined): void {
  if (path === undefined) return;
  if (existsSync(path) && statSync(path).isDirectory()) {
    throw new MbertError('USAGE', `--report: ${path} is a folder`, { hint: 'name a file, as report.html' });
  }
  let parent = dirname(resolve(path));
  while (!existsSync(parent)) parent = dirname(parent);
  if (!statSync(parent).isDirectory()) throw new MbertError('USAGE', `--report: ${path}: ${parent} is not a folder`);
}

/** The page appears under its name when it is complete. */
export async function writeReport(path: string, page: string): Promise<void> {
  async function* chunks() {
    yield new TextEncoder().encode(page);
  }
  async function* files() {
    yield { name: basename(path), chunks: chunks() };
  }
  await writeFiles(dirname(path), files());
}
