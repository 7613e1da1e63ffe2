import { type Classes, type ClassPair, NO_CLASS } from './classes.ts';
import type { Contents } from './contents.ts';
import type { Pairing } from './pairing.ts';
import { CONSTANT, opName, type Side } from './side.ts';

/** Evidence by which neighbours of pairs are paired. */
export interface Around {
  /** Classes that tell the readers of one value apart, the coarsest first. */
  readonly tellers: readonly (() => ClassPair)[];
  readonly contents: Contents;
}

/**
 * Most readers among which agreement is looked for: a mask has one in each layer, and more cost more than they tell.
 */
const MAX_READERS = 64;

/** Decides whether a pair may be made, by the score of what is around it as well. */
export type Allow = (a: number, b: number, score: number) => boolean;

/** The score of a pair all of whose inputs are pairs. */
const READS_THE_SAME = 2;

/** Allows only pairs all of whose inputs are pairs. */
export const readsTheSame: Allow = (_a, _b, score) => score >= READS_THE_SAME;

/** Pairs the neighbours of pairs, what both read in one place and what reads both, until nothing is clear any more. */
export function propagate(
  pairing: Pairing,
  from: readonly (readonly [number, number])[],
  around: Around,
  allow: Allow = () => true,
): void {
  const proposals = new Proposals(pairing, around.contents, allow);
  for (let frontier = from; frontier.length > 0; ) {
    for (const [a, b] of frontier) {
      proposeInputs(pairing, a, b, proposals);
      proposeReaders(pairing, a, b, around.tellers, proposals);
    }
    frontier = proposals.accept();
  }
}

/** Pairs that could be made; those are that are the best for both of their values. */
class Proposals {
  readonly #pairing: Pairing;
  readonly #contents: Contents;
  readonly #allow: Allow;
  #pending = new Map<string, readonly [number, number]>();

  constructor(pairing: Pairing, contents: Contents, allow: Allow) {
    this.#pairing = pairing;
    this.#contents = contents;
    this.#allow = allow;
  }

  add(a: number, b: number): void {
    if (!this.#pairing.areFree(a, b)) return;
    const { a: sideA, b: sideB } = this.#pairing;
    if (sideA.values[a] && sideB.values[b] && opName(sideA.values[a]) === opName(sideB.values[b]))
      this.#pending.set(`${a} ${b}`, [a, b]);
  }

  accept(): (readonly [number, number])[] {
    const open = [...this.#pending.values()].filter(([a, b]) => this.#pairing.areFree(a, b));
    const scores = open.map(([a, b]) => agreement(this.#pairing, this.#contents, a, b));
    const bestOfA = bestScores(open, scores, 0);
    const bestOfB = bestScores(open, scores, 1);
    const best = open.map(([a, b], i) => {
      const score = scores[i] as number;
      return bestOfA.get(a) === score && bestOfB.get(b) === score && this.#allow(a, b, score);
    });
    // What reads the same is paired before what is read alike: around a layer that has gone, the two disagree.
    const sure = open.filter(([a, b], i) => best[i] && readsTheSame(a, b, scores[i] as number));
    const accepted = sure.length > 0 ? sure : open.filter((_, i) => best[i]);
    for (const [a, b] of accepted) this.#pairing.pair(a, b);
    this.#pending = new Map(open.map((pair) => [pair.join(' '), pair]));
    return accepted;
  }
}

/** The best score of each value; NaN, which equals nothing, where two pairs share it. */
function bestScores(
  pairs: readonly (readonly [number, number])[],
  scores: readonly number[],
  side: 0 | 1,
): Map<number, number> {
  const best = new Map<number, { score: number; count: number }>();
  for (const [i, pair] of pairs.entries()) {
    const score = scores[i] as number;
    const held = best.get(pair[side]);
    if (held === undefined || score > held.score) best.set(pair[side], { score, count: 1 });
    else if (score === held.score) held.count++;
  }
  return new Map([...best].map(([value, { score, count }]) => [value, count === 1 ? score : Number.NaN]));
}

function proposeInputs(pairing: Pairing, a: number, b: number, proposals: Proposals): void {
  const readA = pairing.a.inputs[a] as number[];
  const readB = pairing.b.inputs[b] as number[];
  if (pairing.a.unordered[a]) {
    for (const x of readA) for (const y of readB) if (x !== CONSTANT && y !== CONSTANT) proposals.add(x, y);
    return;
  }
  for (const [i, x] of readA.entries()) {
    const y = readB[i];
    if (x !== CONSTANT && y !== undefined && y !== CONSTANT) proposals.add(x, y);
  }
}

function proposeReaders(
  pairing: Pairing,
  a: number,
  b: number,
  tellers: Around['tellers'],
  proposals: Proposals,
): void {
  let readersA = freeReaders(pairing.a, a, (user) => pairing.partnerOfA(user));
  let readersB = freeReaders(pairing.b, b, (user) => pairing.partnerOfB(user));
  for (const teller of tellers) {
    if (readersA.length === 0 || readersB.length === 0) return;
    const classes = teller();
    const groupsA = byPlace(pairing.a, readersA, classes.a);
    const groupsB = byPlace(pairing.b, readersB, classes.b);
    for (const [place, alike] of groupsA) {
      const other = groupsB.get(place);
      if (alike.length !== 1 || other?.length !== 1) continue;
      proposals.add(alike[0] as number, other[0] as number);
      readersA = readersA.filter((use) => use.user !== alike[0]);
      readersB = readersB.filter((use) => use.user !== other[0]);
    }
  }
}

interface Use {
  readonly user: number;
  readonly position: number;
}

function freeReaders(side: Side, value: number, partner: (user: number) => number | undefined): Use[] {
  const users = side.users[value] as number[];
  const uses: Use[] = [];
  for (let i = 0; i < users.length; i += 2) {
    const user = users[i] as number;
    if (partner(user) === undefined) uses.push({ user, position: side.unordered[user] ? 0 : (users[i + 1] as number) });
  }
  return uses;
}

function byPlace(side: Side, uses: readonly Use[], classes: Classes): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const { user, position } of uses) {
    if (classes[user] === NO_CLASS) continue;
    const place = `${side.values[user]?.op} ${position} ${classes[user]}`;
    const group = groups.get(place);
    if (group) group.push(user);
    else groups.set(place, [user]);
  }
  return groups;
}

/**
 * Scores how much of what is around two values is paired with one another. What they read says what they are, so it
 * counts twice what their readers say; equal names decide between the rest.
 */
function agreement(pairing: Pairing, contents: Contents, a: number, b: number): number {
  const sameName = pairing.a.values[a]?.name === pairing.b.values[b]?.name;
  return 2 * inputAgreement(pairing, contents, a, b) + readerAgreement(pairing, a, b) + (sameName ? 0.125 : 0);
}

function inputAgreement(pairing: Pairing, contents: Contents, a: number, b: number): number {
  const readA = pairing.a.inputs[a] as number[];
  const readB = pairing.b.inputs[b] as number[];
  const most = Math.max(readA.length, readB.length);
  if (most === 0) return 0;
  let agreed = 0;
  for (const [i, x] of readA.entries()) {
    const partner = x === CONSTANT ? undefined : pairing.partnerOfA(x);
    if (x === CONSTANT) agreed += constantAgreement(pairing, contents, a, b, i);
    else if (partner !== undefined)
      agreed += (pairing.a.unordered[a] ? readB.includes(partner) : readB[i] === partner) ? 1 : 0;
  }
  return agreed / most;
}

/** Scores constants in one place: the same one is as good as a pair, any other is better than a computed value. */
function constantAgreement(pairing: Pairing, contents: Contents, a: number, b: number, position: number): number {
  const x = pairing.a.values[a]?.inputs[position];
  const y = pairing.b.values[b]?.inputs[position];
  if (x?.op !== 'constant' || y?.op !== 'constant') return 0;
  return contents.key(x) === contents.key(y) ? 1 : 0.5;
}

function readerAgreement(pairing: Pairing, a: number, b: number): number {
  const usersA = pairing.a.users[a] as number[];
  const usersB = pairing.b.users[b] as number[];
  const most = Math.max(usersA.length, usersB.length) / 2;
  if (most === 0 || most > MAX_READERS) return 0;
  let agreed = 0;
  for (let i = 0; i < usersA.length; i += 2) {
    const partner = pairing.partnerOfA(usersA[i] as number);
    if (partner !== undefined && hasUse(pairing.b, usersB, partner, usersA[i + 1] as number)) agreed++;
  }
  return agreed / most;
}

function hasUse(side: Side, users: readonly number[], user: number, position: number): boolean {
  for (let i = 0; i < users.length; i += 2) {
    if (users[i] === user && (side.unordered[user] || users[i + 1] === position)) return true;
  }
  return false;
}
