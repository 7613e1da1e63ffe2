import { type OpName, ops } from '../src/ir/ops/index.ts';

/** The ops that a table neither has nor refuses, or that it both has and refuses: a line each, for whoever adds an op. */
export function undecided(
  table: string,
  rows: { readonly [O in OpName]?: unknown },
  refused: { readonly [O in OpName]?: string },
): string[] {
  return (Object.keys(ops) as OpName[]).flatMap((op) => {
    if (op in rows && op in refused) return [`${op}: ${table} have it and refuse it`];
    return op in rows || op in refused ? [] : [`${op}: ${table} neither have nor refuse it`];
  });
}
