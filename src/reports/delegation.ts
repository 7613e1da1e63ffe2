import type { predictOnnxRuntime, predictXnnpack } from '../lint/lint-file.ts';
import { plural, table } from './text.ts';

/** Prints how many partitions a delegate makes, and why it leaves what it leaves. */
export function delegationText({ partitions, operators, failures }: ReturnType<typeof predictXnnpack>): string {
  const left = new Map<string, { readonly code: string; readonly reason: string; count: number }>();
  for (const operator of operators) {
    if (!('reason' in operator)) continue;
    const key = `${operator.code} ${operator.reason}`;
    const row = left.get(key) ?? { code: operator.code, reason: operator.reason as string, count: 0 };
    row.count++;
    left.set(key, row);
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

/**
 * Prints which kernels ONNX Runtime makes of the products that have integers in them, and why of floats where it does.
 */
export function kernelsText(products: ReturnType<typeof predictOnnxRuntime>): string {
  if (products.length === 0) return 'no product has integers in it';
  const counts = new Map<string, number>();
  for (const { kernel } of products) counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
  const slow = products.filter(({ cause }) => cause !== undefined);
  const lines = [
    `ONNX Runtime makes of ${plural(products.length, 'product')}: ${[...counts].map(([kernel, count]) => `${count} ${kernel}`).join(', ')}`,
  ];
  if (slow.length > 0) {
    const rows = slow.map(({ where, kernel, cause }) => [where, kernel, cause?.problem ?? '']);
    lines.push(table([['product', 'runs as', 'why'], ...rows]));
  }
  return lines.join('\n');
}
