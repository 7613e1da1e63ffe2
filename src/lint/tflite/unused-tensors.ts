import type { Rule } from '../rule.ts';
import type { LintGraph, LintTensor, TfliteModel } from './model.ts';

export const unusedTensors: Rule<TfliteModel> = {
  name: 'unused-tensors',
  summary: 'every tensor is read or is an output: others cost memory and are a sign of a broken rewrite',
  *check({ graphs }) {
    for (const graph of graphs) {
      const used = usedIn(graph);
      for (const tensor of graph.tensors) {
        if (!used.has(tensor)) yield { severity: 'warning', where: tensor.name, problem: 'is read by nothing' };
      }
    }
  },
};

function usedIn({ tensors, operators, inputs, outputs }: LintGraph): ReadonlySet<LintTensor | undefined> {
  const used = new Set<LintTensor | undefined>([...inputs, ...outputs]);
  for (const operator of operators) for (const input of operator.inputs) used.add(input);
  // A SPLIT has all of its parts, used or not.
  for (const { outputs: results } of operators) {
    if (results.some((result) => used.has(result))) for (const result of results) used.add(result);
  }
  for (const { block } of tensors) used.add(block?.scales);
  return used;
}
