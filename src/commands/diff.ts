import { InvalidArgumentError } from 'commander';
import { KINDS, type Kind } from '../diff/difference.ts';
import { type DiffModelsOptions, diffModels, type SizeLimit } from '../pipelines/diff/diff-models.ts';
import { shown } from '../printable.ts';
import { diffGithub } from '../reports/diff-github.ts';
import { diffJson } from '../reports/diff-json.ts';
import { diffMarkdown } from '../reports/diff-markdown.ts';
import { diffText } from '../reports/diff-text.ts';
import { pages } from '../reports/pages.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { names, nonNegative } from './parsers.ts';
import { printResult, type ReportOptions, wantsPage } from './report.ts';

type Options = Omit<DiffModelsOptions, 'a' | 'b'> & { readonly all?: true } & ReportOptions<
    'text' | 'json' | 'markdown' | 'github' | 'html'
  >;

export const command: CommandSpec<Options> = {
  description:
    'Compares checkpoints, model files and graph text. Each change is told once, whatever the nodes are called.',
  flags: [
    ...flags.reportFlags(['markdown', 'github'], 'github: annotations for a workflow; '),
    {
      flags: '--level <level>',
      says: 'as stored, or by meaning: ops raised, exact passes run (default: raw for two of one format, else raised)',
      choices: ['raw', 'raised'],
    },
    saying(flags.task, 'which head to build from checkpoints'),
    {
      flags: '--numeric [how]',
      says: 'run both on seeded token sequences: in the runtimes, or by slow reference code',
      choices: ['runtime', 'reference'],
      preset: 'runtime',
    },
    {
      flags: '--fail-on <kinds>',
      says: `which differences give exit code 1: ${KINDS.join(',')} or none (default: all)`,
      parse: kinds,
    },
    {
      flags: '--atol <x>',
      says: 'numbers may differ by this much (default: 0; outputs 1e-4)',
      parse: nonNegative,
    },
    {
      flags: '--rtol <x>',
      says: "and by this share of their tensor's largest (default: 0 raw, 1e-5 raised; outputs 5e-5)",
      parse: nonNegative,
    },
    {
      flags: '--max-size-delta <size>',
      says: 'how much the size may change, as 5%, 200kB or 1MB (default: any)',
      parse: sizeLimit,
    },
    {
      flags: '--ignore <names>',
      says: 'a,b*: differences in nodes, tensors, outputs or metadata keys of these names',
      parse: names,
    },
    { flags: '--all', says: 'every difference, not only the first ones' },
  ],
  examples: [
    './checkpoint model.tflite',
    'old.onnx new.onnx --fail-on structure,quant --max-size-delta 5%',
    'model.graph model.tflite   # where model.graph is what mbert inspect --graph printed',
    'old.onnx new.onnx --report diff.html',
  ],
  exitOne: 'the models differ',
  async run({ io, progress, args: [a = '', b = ''], options }) {
    const { failOn, ...rest } = options;
    const all = options.all === true;
    const outline = wantsPage(options);
    const diff = await diffModels({ ...rest, a, b, failOn, outline, progress: progress.step, note: progress.note });
    progress.clear();
    warn(io, diff.warnings);
    await printResult(io, options, {
      text: () => diffText(shown(diff), all),
      json: () => diffJson(diff, all),
      markdown: () => diffMarkdown(shown(diff), all),
      github: () => diffGithub(shown(diff), new Set(failOn ?? KINDS)),
      html: () => pages.diff(diff, all),
    });
    return diff.same ? 0 : 1;
  },
};

function kinds(text: string): Kind[] {
  if (text === 'none') return [];
  return names(text).map((word) => {
    const kind = KINDS.find((known) => known === word);
    if (kind === undefined) throw new InvalidArgumentError(`"${word}" is none of ${KINDS.join(', ')}, none.`);
    return kind;
  });
}

const UNITS: { readonly [unit: string]: number } = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };

function sizeLimit(text: string): SizeLimit {
  const match = /^(\d+(?:\.\d+)?)\s*(%|[kmg]?b|)$/i.exec(text.trim());
  if (match === null) throw new InvalidArgumentError('it must be a share or a size, as 5%, 200kB or 1MB.');
  const [, value, unit = ''] = match;
  return unit === '%'
    ? { share: Number(value) / 100 }
    : { bytes: Number(value) * (UNITS[unit.toLowerCase()] as number) };
}
