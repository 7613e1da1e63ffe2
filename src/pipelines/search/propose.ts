import { type Choice, choicesByBins, chooseOptions, type Option } from '../../solve/choose-options.ts';
import type { Candidate, Change } from './changes.ts';
import type { NarrowLayer } from './form-costs.ts';
import type { Score } from './score-candidates.ts';

/** A whole student, as the changes of its blocks, with what they are expected to cost and save together. */
export interface Proposal {
  readonly changes: readonly Candidate[];
  /** Layers that have 4 bits in place of 8. */
  readonly narrow: readonly number[];
  /** Sum of the changes' noises: an estimate, as what one layer does another one may make up for. */
  readonly noise: number;
  /** What of it comes from 4 bits. */
  readonly narrowNoise: number;
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
  {
    needed,
    count,
    narrow = [],
  }: { readonly needed: number; readonly count: number; readonly narrow?: readonly NarrowLayer[] },
): Proposal[] {
  const blocks = optionsByBlock(scores, savingOf, narrow);
  return chooseOptions(blocks, needed, count).map(({ picks, error, saving }) => {
    const picked = picks.map((pick, block) => blocks[block]?.[pick] as BlockOption);
    return {
      changes: picked.flatMap(({ changes }) => changes),
      narrow: picked.flatMap((option) => (option.narrow === undefined ? [] : [option.narrow.layer])),
      noise: error,
      narrowNoise: picked.reduce((sum, option) => sum + (option.narrow?.noise ?? 0), 0),
      saving,
    };
  });
}

/** The most that can be saved. */
export function mostSaved(
  scores: readonly Score[],
  savingOf: (score: Score) => number,
  narrow: readonly NarrowLayer[] = [],
): number {
  return optionsByBlock(scores, savingOf, narrow).reduce(
    (sum, options) => sum + Math.max(...options.map(({ saving }) => saving)),
    0,
  );
}

/** An option of a block: changes that are made together. */
interface BlockOption extends Option {
  readonly changes: readonly Candidate[];
  /** Numbers in weights that the block has less of. */
  readonly weights: number;
  /** Present where what is left of the block has 4 bits. */
  readonly narrow?: { readonly layer: number; readonly noise: number };
}

function optionsByBlock(
  scores: readonly Score[],
  savingOf: (score: Score) => number,
  narrow: readonly NarrowLayer[],
): BlockOption[][] {
  // A layer without scores, as one that is to be kept, may still have 4 bits.
  const layers = new Map<number, Score[]>(narrow.map(({ layer }) => [layer, []]));
  for (const score of scores) layers.set(score.layer, [...(layers.get(score.layer) ?? []), score]);
  return [...layers].map(([layer, own]) => {
    const option = (score: Score): BlockOption => ({
      saving: savingOf(score),
      error: score.noise,
      changes: [{ layer: score.layer, change: score.change }],
      weights: score.saved.weights,
    });
    const whole = own.filter(({ change }) => groupOf(change) === undefined).map(option);
    const joined = joinedGroups(own, option);
    const cost = narrow.find((each) => each.layer === layer);
    return [...joined, ...(cost ? joined.map((each) => inFourBits(each, cost)) : []), ...whole];
  });
}

/** A block's option with 4 bits: what is left of its weights saves its share of the bytes, and makes its share of the noise. */
function inFourBits(option: BlockOption, { layer, weights, saving, noise }: NarrowLayer): BlockOption {
  const left = weights > 0 ? Math.max(0, 1 - option.weights / weights) : 0;
  return {
    ...option,
    saving: option.saving + left * saving,
    error: option.error + left * noise,
    narrow: { layer, noise: left * noise },
  };
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
    weights: picks.reduce((sum, pick, group) => sum + (parts[group]?.[pick]?.weights ?? 0), 0),
  }));
}

/** What a change is one way for, beside which a layer may have changes of other groups; undefined for a whole layer's. */
function groupOf(change: Change): string | undefined {
  if (change.kind === 'units') return change.group;
  return change.kind === 'noNorm' ? change.kind : undefined;
}

const UNCHANGED: BlockOption = { saving: 0, error: 0, changes: [], weights: 0 };
