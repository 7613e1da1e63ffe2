import type { Block } from './blocks.ts';
import type { Candidate } from './changes.ts';
import type { LayerSummary } from './types.ts';

/** Says what became of each layer; `narrow` are those of 4 bits where others have 8. */
export function summarize(
  blocks: readonly Block[],
  changes: readonly Candidate[],
  narrow: readonly number[] | undefined,
): LayerSummary[] {
  return blocks.map(({ layer, groups }) => {
    const own = changes.filter((change) => change.layer === layer).map(({ change }) => change);
    const bits = narrow === undefined ? null : narrow.includes(layer) ? 4 : 8;
    if (own.some(({ kind }) => kind === 'drop')) {
      return { layer, kind: 'dropped', groups: [], isConverted: false, bits: null };
    }
    if (own.some(({ kind }) => kind === 'linear'))
      return { layer, kind: 'linear', groups: [], isConverted: false, bits };
    const kept = new Map(own.flatMap((change) => (change.kind === 'units' ? [[change.group, change.kept]] : [])));
    return {
      layer,
      kind: 'cut',
      isConverted: own.some(({ kind }) => kind === 'noNorm'),
      groups: groups.map(({ name, kind, count }) => ({ kind, kept: kept.get(name) ?? count, count })),
      bits,
    };
  });
}

/** Columns of the narrow word table; null where it is as the teacher has it. */
export function wordColumnsOf(changes: readonly Candidate[]): number | null {
  for (const { change } of changes) if (change.kind === 'rank') return change.rank;
  return null;
}
