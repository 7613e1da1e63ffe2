import type { Graph } from '../../ir/graph.ts';
import { keepNothing } from '../../ir/pass.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { TextRuns } from '../../ir/text-runs.ts';
import { constantLinear } from '../../passes/attention.ts';
import { fitTogether } from '../../passes/fit/fit.ts';
import { axesOf, layerIn, withLayer } from './axes.ts';
import { keptAlong, type Selection } from './cut-checkpoint.ts';

/**
 * Fits the linears of a student one after the other, in computing order: each so that the student, run up to there, gives
 * the values that its teacher has at the same place, by ridge least squares. Returns the weights and biases that became
 * others, by their names in the checkpoint.
 */
export async function recover(
  student: Graph,
  teacher: Graph,
  selection: Selection,
  { runs, progress }: { readonly runs: TextRuns; readonly progress: (done: number, total: number) => void },
): Promise<ReadonlyMap<string, Tensor>> {
  const { layers } = selection;
  const teacherLayer = (name: string) => {
    const layer = layerIn(name);
    return layer === undefined ? undefined : layers[layer];
  };
  const linears = student.nodes().flatMap((node) => constantLinear(node) ?? []);
  const kept = new Map<string, Int32Array>();
  for (const { node, weight } of linears) {
    const channels = keptAlong(selection, axesOf(weight.name)?.[0] ?? 'whole', teacherLayer(node.name));
    if (channels) kept.set(node.name, channels);
  }
  const before = new Set(linears.flatMap(({ weight, bias }) => [weight.tensor, bias?.tensor]));
  await fitTogether(
    student,
    [],
    {
      ...keepNothing,
      runs,
      teacher,
      cuts: {
        kept,
        readers: new Set(linears.map(({ node }) => node.name)),
        teacherName: (name) => withLayer(name, teacherLayer(name) ?? 0),
      },
    },
    progress,
  );
  const changed = new Map<string, Tensor>();
  for (const node of student.nodes()) {
    const linear = constantLinear(node);
    for (const constant of [linear?.weight, linear?.bias])
      if (constant && !before.has(constant.tensor)) changed.set(constant.name, constant.tensor);
  }
  return changed;
}
