import { type Command, InvalidArgumentError, Option } from 'commander';
import { KINDS, type Kind } from '../diff/difference.ts';
import { TASKS } from '../models/index.ts';
import { type DiffModelsOptions, diffModels, type SizeLimit } from '../pipelines/diff/diff-models.ts';
import { diffGithub } from '../reports/diff-github.ts';
import { diffJson } from '../reports/diff-json.ts';
import { diffMarkdown } from '../reports/diff-markdown.ts';
import { diffText } from '../reports/diff-text.ts';
import type { Action } from './action.ts';
import { addReportOptions, printResult, type ReportOptions, wantsPage } from './report.ts';

type Options = Omit<DiffModelsOptions, 'a' | 'b' | 'numeric'> & {
  readonly numeric?: 'runtime' | 'reference' | true;
  readonly all?: true;
} & ReportOptions<'text' | 'json' | 'markdown' | 'github' | 'html'>;

export function addDiff(program: Command, action: Action): void {
  addReportOptions(program.command('diff <a> <b>'), ['markdown', 'github'], 'github: annotations for a workflow; ')
    .summary('tell what differs between two models of any formats')
    .description(
      'Compares checkpoints, model files and graph text. Each change is told once, whatever the nodes are called.',
    )
    .addOption(
      new Option(
        '--level <level>',
        'as stored, or by meaning: ops raised, exact passes run (default: raw for two of one format, else raised)',
      ).choices(['raw', 'raised']),
    )
    .addOption(new Option('--task <task>', 'which head to build from checkpoints').choices(TASKS))
    .addOption(
      new Option('--numeric [how]', 'run both on seeded token sequences: in the runtimes, or by slow reference code')
        .choices(['runtime', 'reference'])
        .preset('runtime'),
    )
    .option('--fail-on <kinds>', `which differences give exit code 1: ${KINDS.join(',')} or none (default: all)`, kinds)
    .option('--atol <x>', 'numbers may differ by this much (default: 0; outputs 1e-4)', nonNegative)
    .option(
      '--rtol <x>',
      "and by this share of their tensor's largest (default: 0 raw, 1e-5 raised; outputs 5e-5)",
      nonNegative,
    )
    .option('--max-size-delta <size>', 'how much the size may change, as 5%, 200kB or 1MB (default: any)', sizeLimit)
    .option('--ignore <names>', 'a,b*: differences in nodes, tensors, outputs or metadata keys of these names', names)
    .option('--all', 'every difference, not only the first ones')
    .addHelpText(
      'after',
      `
Examples:
  $ mbert diff ./checkpoint model.tflite
  $ mbert diff old.onnx new.onnx --fail-on structure,quant --max-size-delta 5%
  $ mbert inspect model.tflite > model.graph && mbert diff model.graph model.tflite
  $ mbert diff old.onnx new.onnx --report diff.html

Exit codes: 0 the same, 1 different, 2 cannot be compared, 70 a bug in mbert`,
    )
    .action(
      action(async (io, progress, a: string, b: string, options: Options) => {
        const { numeric, failOn, ...rest } = options;
        const all = options.all === true;
        const outline = wantsPage(options);
        progress.step('comparing');
        const diff = await diffModels({
          ...rest,
          a,
          b,
          failOn,
          numeric: numeric === true ? 'runtime' : numeric,
          outline,
        });
        progress.clear();
        for (const warning of diff.warnings) io.err(`warning: ${warning}\n`);
        await printResult(io, options, {
          text: () => diffText(diff, all),
          json: () => diffJson(diff, all),
          markdown: () => diffMarkdown(diff, all),
          github: () => diffGithub(diff, new Set(failOn ?? KINDS)),
          html: async () => (await import('../reports/diff-html.ts')).diffHtml(diff, all),
        });
        return diff.same ? 0 : 1;
      }),
    );
}

function kinds(text: string): Kind[] {
  if (text === 'none') return [];
  return names(text).map((word) => {
    const kind = KINDS.find((known) => known === word);
    if (kind === undefined) throw new InvalidArgumentError(`"${word}" is none of ${KINDS.join(', ')}, none.`);
    return kind;
  });
}

function names(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function nonNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0) || value === Number.POSITIVE_INFINITY) {
    throw new InvalidArgumentError('it must be a number that is not negative.');
  }
  return value;
}

const UNITS: { readonly [unit: string]: number } = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };

function sizeLimit(text: string): SizeLimit {
  const found = /^(\d+(?:\.\d+)?)\s*(%|[kmg]?b|)$/i.exec(text.trim());
  if (found === null) throw new InvalidArgumentError('it must be a share or a size, as 5%, 200kB or 1MB.');
  const [, value, unit = ''] = found;
  return unit === '%'
    ? { share: Number(value) / 100 }
    : { bytes: Number(value) * (UNITS[unit.toLowerCase()] as number) };
}
