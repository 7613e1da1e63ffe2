import { MAX_NODES } from '../../formats/graph-limits.ts';

/** Most numbers in lists that shape arithmetic makes: the graphs of 24 layers make some ten thousand. */
const MAX_LISTED = 4_000_000;

/**
 * Most additions and products of constants that are worked out while a graph is read: about a second's work, a thousand
 * times what exporters leave.
 */
const MAX_FOLDING_STEPS = 2 ** 28;

/** Times that all nodes of a graph can be read, as reading starts again for each name of a size that turns out to be another's. */
const MAX_READINGS = 8;

/** Work that one import may do, over all its readings of the file. */
export class ImportBudget {
  #nodesLeft = MAX_NODES * MAX_READINGS;
  #listedLeft = MAX_LISTED;
  #foldingLeft = MAX_FOLDING_STEPS;

  /** Takes one node; false where there have been too many. */
  takeNode(): boolean {
    return this.#nodesLeft-- > 0;
  }

  /** Takes numbers of a list; false where there have been too many. */
  takeListed(count: number): boolean {
    this.#listedLeft -= count;
    return this.#listedLeft >= 0;
  }

  /** Takes so many steps of arithmetic if they are there. */
  takeFolding(steps: number): boolean {
    if (steps > this.#foldingLeft) return false;
    this.#foldingLeft -= steps;
    return true;
  }
}
