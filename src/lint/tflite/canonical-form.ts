import type { Rule } from '../rule.ts';
import type { TfliteModel } from './model.ts';

/** The schema version of every TFLite file since 2018. */
const SCHEMA_VERSION = 3;

export const canonicalForm: Rule<TfliteModel> = {
  name: 'canonical-form',
  summary:
    'schema version 3, a signature, named tensors of known rank: current runtimes do without, tools and older ones may not',
  *check({ file }) {
    const finding = (where: string, problem: string) => ({ severity: 'warning', where, problem }) as const;
    if (file.version !== SCHEMA_VERSION) yield finding('model', `has the schema version ${file.version}`);
    if (!file.signatureDefs?.length) yield finding('model', 'has no signature');
    for (const { name = 'main', tensors = [] } of file.subgraphs ?? []) {
      const unnamed = tensors.filter((tensor) => !tensor.name).length;
      if (unnamed > 0) yield finding(name, `has ${unnamed} tensors without a name`);
      const names = new Set<string>();
      const twice = tensors.find((tensor) => tensor.name && names.size === names.add(tensor.name).size);
      if (twice?.name) yield finding(twice.name, 'is the name of two tensors');
      const rankless = tensors.filter(({ hasRank, shape }) => !hasRank && shape?.length).length;
      if (rankless > 0) yield finding(name, `has ${rankless} tensors with has_rank false`);
    }
  },
};
