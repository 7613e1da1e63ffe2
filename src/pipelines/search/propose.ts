import { type Choice, choicesByBins, chooseOptions, type Option } from '../../solve/choose-options.ts';
import type { Candidate, Change } from './changes.ts';
import type { Score } from './score-candidates.ts';

/** A whole student, as the changes of its blocks, with what they are expected to cost and save together. */
export interface Proposal {
  readonly changes: readonly Candidate[];
  /** Sum of the changes' noises: an estimate, as what one layer does another one may make up for. */
  readonly noise: number;
  readonly saving: number;
}

/** Ranges of savings that are told apart inside a block: the space shrinks to the best of each. */
const BLOCK_BINS = 32;

/**
 * Proposes the `count` students with the least sum of noises that save at least `needed`; none where all blocks together
 * do not save so much. In each block the best candidates by ranges of savings stay, and then the best joins of blocks.
 */
export function proposeStudents(
  scores: readonly Score[],
  savingOf: (score: Score) => number,
  { needed, count }: { readonly needed: number; readonly count: number },
): Proposal[] {
  const blocks = optionsByBlock(scores, savingOf);
  return chooseOptions(blocks, needed, count).map(({ picks, error, saving }) => ({
    changes: picks.flatMap((pick, block) => blocks[block]?.[pick]?.changes ?? []),
    noise: error,
    saving,
  }));
}

/** The most that can be saved. */
export function mostSaved(scores: readonly Score[], savingOf: (score: Score) => number): number {
  return optionsByBlock(scores, savingOf).reduce(
    (sum, options) => sum + Math.max(...options.map(({ saving }) => saving)),
    0,
  );
}

/** An option of a block: changes that are made together. */
interface BlockOption extends Option {
  readonly changes: readonly Candidate[];
}

function optionsByBlock(scores: readonly Score[], savingOf: (score: Score) => number): BlockOption[][] {
  const layers = new Map<number, Score[]>();
  for (const score of scores) layers.set(score.layer, [...(layers.get(score.layer) ?? []), score]);
  return [...layers.values()].map((own) => {
    const option = (score: Score): BlockOption => ({
      saving: savingOf(score),
      error: score.noise,
      changes: [{ layer: score.layer, change: score.change }],
    });
    const whole = own.filter(({ change }) => groupOf(change) === undefined).map(option);
    return [...joinedGroups(own, option), ...whole];
  });
}

/** The ways to change the groups of one block, among them the one that changes none. */
function joinedGroups(scores: readonly Score[], option: (score: Score) => BlockOption): BlockOption[] {
  const groups = new Map<string, BlockOption[]>();
  for (const score of scores) {
    const group = groupOf(score.change);
    if (group === undefined) continue;
    groups.set(group, [...(groups.get(group) ?? [UNCHANGED]), option(score)]);
  }
  const parts = [...groups.values()];
  return choicesByBins(parts, BLOCK_BINS).map(({ saving, error, picks }: Choice) => ({
    saving,
    error,
    changes: picks.flatMap((pick, group) => parts[group]?.[pick]?.changes ?? []),
  }));
}

/** What a change is one way for, beside which a layer may have changes of other groups; undefined for a whole layer's. */
function groupOf(change: Change): string | undefined {
  if (change.kind === 'units') return change.group;
  return change.kind === 'noNorm' ? change.kind : undefined;
}

const UNCHANGED: BlockOption = { saving: 0, error: 0, changes: [] };
