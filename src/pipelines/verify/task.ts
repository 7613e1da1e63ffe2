import { MbertError } from '../../errors.ts';
import type { Output } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';
import type { Task } from '../../models/index.ts';
import type { Side } from './sides.ts';

/** The task that the user states, that a source states, or that the shape of the first output leaves no doubt about. */
export function taskOf(sides: readonly Side[], requested: Task | undefined): Task | undefined {
  const stated = requested ?? sides.map(({ model }) => model.task).find((task) => task !== undefined);
  const outputs = comparedOutputs(sides);
  if (stated !== undefined && fitsTask(stated, outputs)) return stated;
  if (requested !== undefined) {
    const shapes = outputs.map(({ name, node }) => `${name} ${shapeText(node.type.shape)}`).join(', ');
    throw new MbertError('USAGE', `--task ${requested}: the outputs are ${shapes}`);
  }
  const [output, ...others] = outputs;
  return output?.node.type.shape.length === 2 && others.length === 0 ? 'sequence-classification' : undefined;
}

/** Outputs of the first side that the other one has as well, or all where no name is common: those are paired in order. */
function comparedOutputs([first, second]: readonly Side[]): readonly Output[] {
  const outputs = first?.graph.outputs ?? [];
  const common = outputs.filter(({ name }) => second?.graph.outputs.some((output) => output.name === name));
  return common.length > 0 ? common : outputs;
}

/** Names the outputs that an answer is read from in one side alone: what is common is compared, but not as that answer. */
export function unansweredWarnings(sides: readonly Side[], task: Task | undefined): string[] {
  return sides.flatMap(({ model, path, graph }) => {
    if (sides.length < 2 || model.task === undefined || model.task === task || !fitsTask(model.task, graph.outputs))
      return [];
    const missing = (OUTPUTS[model.task].names ?? []).filter((name) => !sides.every((side) => hasOutput(side, name)));
    return missing.map((name) => `only ${path} has the output ${name}: answers are compared without it`);
  });
}

function hasOutput({ graph }: Side, wanted: string): boolean {
  return graph.outputs.some(({ name }) => name === wanted);
}

/** Number of axes that the outputs of a task have, and names that tell them apart. */
const OUTPUTS: { readonly [T in Task]: { readonly axes: number; readonly names?: readonly string[] } } = {
  qa: { axes: 2, names: ['start_logits', 'end_logits'] },
  'sequence-classification': { axes: 2 },
  'token-classification': { axes: 3 },
  'masked-lm': { axes: 3 },
  'next-sentence': { axes: 2 },
  'multiple-choice': { axes: 2 },
  pretraining: { axes: 3, names: ['prediction_logits'] },
  'replaced-tokens': { axes: 2 },
  'sentence-embedding': { axes: 2, names: ['sentence_embedding'] },
  features: { axes: 3 },
};

function fitsTask(task: Task, outputs: readonly Output[]): boolean {
  const { axes, names = [] } = OUTPUTS[task];
  const first = outputs.find(({ name }) => name === names[0]) ?? outputs[0];
  return (
    first?.node.type.shape.length === axes && names.every((name) => outputs.some((output) => output.name === name))
  );
}
