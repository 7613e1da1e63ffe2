import { compile, type Step } from './expression-program.ts';

/** Longest source, in characters. */
const MAX_SOURCE = 1_000;

/**
 * A regular expression for names from files that nobody vouches for. JavaScript's own goes through all ways in which a
 * name can be taken apart, which for `(a+)+b` or `a*a*a*a*b` are more than can be counted; this one follows all at once,
 * so that a name costs its length times that of the expression. It only tells whether there is a match.
 */
export class LinearExpression extends RegExp {
  readonly #steps: readonly Step[];
  readonly #start: number;

  /** Throws a SyntaxError for what is no expression, for lookaround and back-references. */
  constructor(source: string, flags: '' | 'u' = '') {
    super(source, flags);
    if (source.length > MAX_SOURCE) throw new SyntaxError(`it is longer than ${MAX_SOURCE} characters`);
    ({ steps: this.#steps, start: this.#start } = compile(source, flags));
  }

  override test(text: string): boolean {
    let current = new Set<number>();
    let before = '';
    const characters = this.unicode ? [...text] : text.split('');
    for (const after of [...characters, '']) {
      current.add(this.#start);
      if (this.#follow(current, before, after)) return true;
      const next = new Set<number>();
      for (const place of current) {
        const step = this.#steps[place] as Step;
        if (step.kind === 'character' && after !== '' && step.takes(after)) next.add(step.next);
      }
      current = next;
      before = after;
    }
    return false;
  }

  /** Adds the steps that are reached without taking a character; true where the expression has matched. */
  #follow(places: Set<number>, before: string, after: string): boolean {
    // A set is walked in the order of adding, what is added meanwhile included.
    for (const place of places) {
      const step = this.#steps[place] as Step;
      if (step.kind === 'match') return true;
      if (step.kind === 'either') for (const way of step.ways) places.add(way);
      else if (step.kind === 'place' && step.holds(before, after)) places.add(step.next);
    }
    return false;
  }
}
