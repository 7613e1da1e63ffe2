import type { predictXnnpack } from '../pipelines/lint.ts';
import { table } from './text.ts';

/** How many partitions a delegate makes, and why it leaves what it leaves. */
export function delegationText({ partitions, operators, failures }: ReturnType<typeof predictXnnpack>): string {
  const left = new Map<string, { readonly code: string; readonly reason: string; count: number }>();
  for (const operator of operators) {
    if (!('reason' in operator)) continue;
    const key = `${operator.code} ${operator.reason}`;
    const known = left.get(key) ?? { code: operator.code, reason: operator.reason as string, count: 0 };
    known.count++;
    left.set(key, known);
  }
  const taken = operators.length - [...left.values()].reduce((sum, { count }) => sum + count, 0);
  const lines = [
    `XNNPACK takes ${taken} of ${operators.length} operators in ${partitions} partition${partitions === 1 ? '' : 's'}`,
  ];
  if (left.size > 0) {
    const rows = [...left.values()].map(({ code, reason, count }) => [code, String(count), reason]);
    lines.push(table([['left', 'count', 'why'], ...rows]));
  }
  for (const failure of failures) lines.push(`does not load: ${failure}`);
  return lines.join('\n');
}
