import { MbertError } from '../errors.ts';
import { passes } from '../passes/index.ts';
import type { ExplainOptions } from '../pipelines/explain/explain-pass.ts';
import { shown } from '../printable.ts';
import { jsonText } from '../reports/json.ts';
import { passesText } from '../reports/text.ts';
import { type Call, type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { refuseUnused } from './unused-flags.ts';

interface PassesOptions extends Omit<ExplainOptions, 'source' | 'pass'> {
  readonly explain?: string;
  readonly json?: true;
}

export const command: CommandSpec<PassesOptions> = {
  description:
    'Lists the passes in the order in which they run, what each keeps and when it runs without being asked for. With --explain, tells why a pass left nodes of a model alone.',
  flags: [
    {
      flags: '--explain <pass>',
      says: 'what this pass made of the nodes of <model>, and what it missed of its pattern',
    },
    { flags: '--at <node>', says: 'a name or a regex (default: nodes that were nearly taken, the nearest first)' },
    {
      flags: '--target <format>',
      says: 'the passes for this format (default: onnx)',
      choices: ['onnx', 'tflite'],
    },
    saying(flags.passes, 'as in mbert convert'),
    ...flags.shapeFlags,
    saying(flags.json, 'print them as JSON'),
  ],
  examples: [
    '',
    '--explain fuse-linear ./mobilebert-sst2',
    '--explain raise-layer-norm --at encoder/layer_3/ffn/add_2 model.onnx',
  ],
  run: (call) => (call.options.explain === undefined ? list(call) : explain(call, call.options.explain)),
};

async function list({ io, args: [source], options }: Call<PassesOptions>): Promise<number> {
  const problem = 'the list of passes is the same for every model, task, shape and format';
  const hint = '--explain PASS says what a pass made of one';
  if (source !== undefined) throw new MbertError('USAGE', `${source}: ${problem}`, { hint });
  refuseUnused(options, ['json'], problem, hint);
  const rows = passes.map(({ pass: { name, summary, keeps }, runs }) => ({ name, summary, keeps, runs }));
  io.out(`${options.json ? jsonText({ passes: rows }) : passesText(rows)}\n`);
  return 0;
}

async function explain({ io, progress, args: [source], options }: Call<PassesOptions>, pass: string): Promise<number> {
  if (source === undefined)
    throw new MbertError('USAGE', '--explain: needs a model', { hint: 'name one behind the flags' });
  const { explainPass } = await import('../pipelines/explain/explain-pass.ts');
  const { explanationText } = await import('../reports/explain.ts');
  const explanation = await explainPass({ ...options, source, pass, progress: progress.step });
  progress.clear();
  io.out(`${options.json ? jsonText(explanation) : explanationText(shown(explanation))}\n`);
  return 0;
}
