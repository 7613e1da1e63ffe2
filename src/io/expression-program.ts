/** Steps of a compiled expression; numbers are places of other steps. */
export type Step =
  | { readonly kind: 'character'; readonly takes: (character: string) => boolean; next: number }
  | { readonly kind: 'either'; readonly ways: number[] }
  | { readonly kind: 'place'; readonly holds: (before: string, after: string) => boolean; next: number }
  | { readonly kind: 'match' };

/** Most steps, to which counted repetitions are written out: a step costs a look at each character of a name. */
const MAX_STEPS = 5_000;

/** Deepest nesting of groups. */
const MAX_DEPTH = 100;

/** Escapes by the flags under which they are read: without `u`, braces behind one are a count. */
const ESCAPES = {
  '': /\\(?:u[\da-fA-F]{4}|x[\da-fA-F]{2}|c[A-Za-z]|.)/sy,
  u: /\\(?:u\{[^}]*\}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|c[A-Za-z]|[pP]\{[^}]*\}|.)/suy,
};
const CLASS = /\[(?:\\.|[^\]\\])*\]/suy;
const COUNT = /\{(\d+)(,?)(\d*)\}/y;
const GROUP = /\((?:\?(?::|<[A-Za-z_$][\w$]*>))?/y;

const isWord = (character: string) => /^\w$/.test(character);

/**
 * Compiles a regular expression that JavaScript has accepted under these flags. Throws a SyntaxError for what only
 * backtracking can match: lookaround and back-references.
 */
export function compile(source: string, flags: '' | 'u'): { readonly steps: readonly Step[]; readonly start: number } {
  const steps: Step[] = [];
  let at = 0;
  let repeats = 0;

  const add = (step: Step): number => {
    if (steps.length === MAX_STEPS) throw new SyntaxError(`it repeats too much: over ${MAX_STEPS} steps`);
    steps.push(step);
    return steps.length - 1;
  };
  const take = (expression: RegExp): RegExpExecArray | null => {
    expression.lastIndex = at;
    const found = expression.exec(source);
    if (found) at += found[0].length;
    return found;
  };

  /** Parts are compiled from their end to their start: `next` is where they lead. */
  type Part = (next: number) => number;

  const alternatives = (depth: number): Part => {
    if (depth > MAX_DEPTH) throw new SyntaxError(`it is nested deeper than ${MAX_DEPTH} groups`);
    const ways = [sequence(depth)];
    while (source[at] === '|') {
      at++;
      ways.push(sequence(depth));
    }
    const [only] = ways;
    if (ways.length === 1 && only) return only;
    return (next) => add({ kind: 'either', ways: ways.map((way) => way(next)) });
  };

  const sequence = (depth: number): Part => {
    const parts: Part[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') parts.push(repeated(atom(depth)));
    return (next) => parts.reduceRight((after, part) => part(after), next);
  };

  const repeated = (part: Part): Part => {
    const mark = source[at];
    let [least, most] = [1, 1];
    if (mark === '*' || mark === '+' || mark === '?') {
      at++;
      [least, most] = [mark === '+' ? 1 : 0, mark === '?' ? 1 : Number.POSITIVE_INFINITY];
    } else {
      const count = take(COUNT);
      if (count === null) return part;
      const [, from, comma, to] = count;
      least = Number(from);
      most = to === '' ? (comma === '' ? least : Number.POSITIVE_INFINITY) : Number(to);
    }
    // How much is taken first makes no difference to whether there is a match.
    if (source[at] === '?') at++;
    return (next) => {
      let after = next;
      if (most === Number.POSITIVE_INFINITY) {
        const loop: Step & { kind: 'either' } = { kind: 'either', ways: [next] };
        after = add(loop);
        loop.ways.push(part(after));
      } else for (let i = least; i < most; i++) after = add({ kind: 'either', ways: [next, part(after)] });
      for (let i = 0; i < least; i++) after = again(part, after);
      return after;
    };
  };

  /** Writes a part out once more. One that takes no character adds no step, and could be repeated for ever. */
  const again = (part: Part, after: number): number => {
    if (++repeats > MAX_STEPS * MAX_DEPTH) throw new SyntaxError(`it repeats too much: over ${MAX_STEPS} steps`);
    return part(after);
  };

  const place = (holds: (before: string, after: string) => boolean): Part => {
    return (next) => add({ kind: 'place', holds, next });
  };

  const atom = (depth: number): Part => {
    const character = source[at] as string;
    if (character === '(') {
      const group = take(GROUP);
      if (source[at] === '?' || group === null)
        throw new SyntaxError(
          'lookaround and flags inside are not supported, as they cannot be matched in linear time',
        );
      const inner = alternatives(depth + 1);
      at++;
      return inner;
    }
    if (character === '^' || character === '$') {
      at++;
      return place(character === '^' ? (before) => before === '' : (_, after) => after === '');
    }
    const text = (character === '\\' ? take(ESCAPES[flags]) : character === '[' ? take(CLASS) : null)?.[0];
    if (text === '\\b' || text === '\\B') {
      const isBorder = text === '\\b';
      return place((before, after) => (isWord(before) !== isWord(after)) === isBorder);
    }
    if (text !== undefined && /^\\(?:[1-9]|k)/.test(text))
      throw new SyntaxError('back-references are not supported, as they cannot be matched in linear time');
    const taken = text ?? (flags === 'u' ? String.fromCodePoint(source.codePointAt(at) as number) : character);
    if (text === undefined) at += taken.length;
    const takes = takesCharacter(taken, flags);
    return (next) => add({ kind: 'character', takes, next });
  };

  const whole = alternatives(0);
  return { start: whole(add({ kind: 'match' })), steps };
}

/** Makes a test of one character; JavaScript's own expressions decide on classes and escapes, once for each character. */
function takesCharacter(text: string, flags: string): (character: string) => boolean {
  if (!/^[\\[.]/.test(text)) return (character) => character === text;
  const expression = new RegExp(`^${text}$`, flags);
  const known = new Map<string, boolean>();
  return (character) => {
    const before = known.get(character);
    if (before !== undefined) return before;
    const takes = expression.test(character);
    known.set(character, takes);
    return takes;
  };
}
