import { listNames } from '../../errors.ts';
import type { Rule } from '../rule.ts';
import type { TfliteModel } from './model.ts';
import { predictDelegation } from './xnnpack.ts';

export const xnnpackPartitions: Rule<TfliteModel> = {
  name: 'xnnpack-partitions',
  summary:
    "XNNPACK takes the model in one piece: between two partitions values are copied and LiteRT's slow kernels run",
  *check(model) {
    const { partitions, operators, failures } = predictDelegation(model);
    for (const problem of failures) yield { severity: 'error', where: 'XNNPACK', problem: `fails to load: ${problem}` };
    if (partitions <= 1) return;
    const between = operators.slice(
      operators.findIndex(({ partition }) => partition === 0),
      operators.findLastIndex(({ partition }) => partition !== undefined),
    );
    const reasons = between.flatMap(({ where, code, reason }) => (reason ? [`${where} (${code}: ${reason})`] : []));
    yield {
      severity: 'warning',
      where: 'XNNPACK',
      problem: `makes ${partitions} partitions: it declines ${listNames(reasons)}`,
    };
  },
};
