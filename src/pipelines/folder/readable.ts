import { listNames, MbertError } from '../../errors.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Writing } from '../../options/writing.ts';

/** Inputs that programs of the hub feed, by these names. */
const FED = ['input_ids', 'attention_mask', 'token_type_ids'];

/** Throws UNSUPPORTED for an input that the program does not feed. */
export function refuseInputs(model: OpenedModel, shape: ShapeOptions, program: string): void {
  const { inputs } = model.build('onnx', shape);
  const stranger = inputs.find(({ name }) => !FED.includes(name));
  if (stranger === undefined) return;
  throw new MbertError(
    'UNSUPPORTED',
    `${model.path}: input ${stranger.name}: ${program} feeds ${listNames(FED)} alone`,
    {
      hint: 'convert the checkpoint that the graph was made of',
    },
  );
}

/** Throws for a file without any output that the program reads: USAGE where the user left it out. */
export function readableOutputs(
  model: OpenedModel,
  shape: ShapeOptions,
  { outputs }: Writing,
  read: readonly string[],
  program: string,
): void {
  const own = model.build('onnx', shape).outputs.map(({ name }) => name);
  if ((outputs ?? own).some((name) => read.includes(name))) return;
  const problem = `${program} reads ${read.join(' or ')}`;
  if (outputs !== undefined && own.some((name) => read.includes(name))) {
    throw new MbertError('USAGE', `--outputs ${outputs.join()}: ${problem}`, { hint: 'name one of these besides' });
  }
  throw new MbertError('UNSUPPORTED', `${model.path}: has the outputs ${listNames(own)}: ${problem}`, {
    hint: 'write the file without --layout, and run it in ONNX Runtime itself',
  });
}
