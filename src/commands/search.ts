import { search } from '../pipelines/search/search.ts';
import { SEARCH_FORMS } from '../pipelines/search/storage.ts';
import type { SearchOptions } from '../pipelines/search/types.ts';
import { shown } from '../printable.ts';
import { jsonText } from '../reports/json.ts';
import { searchText } from '../reports/search.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { byteSizes, nameList, positiveInteger, regularExpression, shard, shares } from './parsers.ts';
import { printResult, type ReportOptions, refuseReport } from './report.ts';

export const command: CommandSpec<
  Omit<SearchOptions, 'source' | 'latencyRatios'> & { readonly latencyRatio?: readonly number[] } & ReportOptions
> = {
  description:
    'Finds students of a teacher within budgets: layers with fewer heads and neurons, layers left out, linears in their place. Each is fitted to the teacher without training, written, and measured.',
  flags: [
    {
      flags: '-o, --output <folder>',
      says: 'gets a model for each budget, and keeps what was measured: a search that was ended goes on',
      isRequired: true,
      isOutput: true,
    },
    { flags: '--budgets <sizes>', says: 'largest sizes of the files, as 8MB,12MB', parse: byteSizes },
    {
      flags: '--latency-ratio <shares>',
      says: "largest times of a run as shares of the teacher's, as 0.3,0.5",
      parse: shares,
    },
    {
      flags: '--count <n>',
      says: 'spread so many budgets between the smallest and the largest',
      parse: positiveInteger,
    },
    {
      flags: '--forms <list>',
      says: `how weights may be stored, the best for each budget: ${SEARCH_FORMS.join(', ')}, which has 4 or 8 bits layer by layer (default: f32,f16,dynamic; f32 for --latency-ratio)`,
      parse: nameList,
    },
    {
      flags: '--keep <regex>',
      says: 'cut nothing of nodes with such names; their weights are fitted anew as all are',
      parse: regularExpression,
    },
    { flags: '--file-format <format>', says: 'of the models', choices: ['onnx', 'tflite'], default: 'onnx' },
    { flags: '--shard <i/n>', says: 'score the i-th of n parts of the candidates, from 1 on, and end', parse: shard },
    { flags: '--merge', says: 'take the scores of all parts from the folder' },
    { flags: '--force', says: 'replace files that mbert did not write' },
    flags.task,
    ...flags.evidenceFlags
      .filter((flag) => flag !== flags.maxDrop)
      .map((flag) =>
        flag === flags.samples ? saying(flag, 'how many of them, from the first one (default: 768)') : flag,
      ),
    ...flags.reportFlags(),
  ],
  examples: [
    './minilm -o students/ --budgets 12MB,16MB,20MB --calibrate train.txt --data dev.tsv',
    './minilm -o students/ --latency-ratio 0.3,0.7 --count 5 --calibrate train.txt --data dev.tsv',
    './minilm -o students/ --calibrate train.txt --shard 2/8',
    './minilm -o students/ --calibrate train.txt --merge --budgets 12MB --data dev.tsv',
  ],
  exitOne: 'no model meets one of the budgets',
  async run({ io, progress, args: [source = ''], options }) {
    refuseReport(options);
    const { latencyRatio, ...rest } = options;
    const result = await search({
      ...rest,
      latencyRatios: latencyRatio,
      source,
      progress: progress.step,
      note: progress.note,
    });
    progress.clear();
    warn(io, result.warnings);
    await printResult(io, options, {
      text: () => searchText(shown(result)),
      json: () => jsonText(result),
      html: async () => (await import('../reports/search-html.ts')).searchHtml(result),
    });
    return result.missed.length > 0 ? 1 : 0;
  },
};
