/** Unescaped parts of a pattern that matter here: escapes and classes are one atom each. */
const PARTS = /\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?(?::|[=!]|<[=!]|<[^>]*>))?|\)|\||[*+]|\{\d+,?\d*\}|./gsu;

/** Most times that a counted repetition goes round before it is as bad as one without end. */
const MAX_COUNT = 16;

/**
 * The group of a pattern that is repeated although it repeats or chooses inside, as in `(a+)+` or `(a|b)*`; null where
 * there is none. Such a group can be matched in so many ways that a name of fifty letters takes years, and names come
 * from files that nobody vouches for.
 */
export function repeatedGroup(source: string): string | null {
  const groups = [{ start: 0, branches: false }];
  let closed: { readonly start: number; readonly end: number; readonly branches: boolean } | undefined;
  for (const { 0: part, index } of source.matchAll(PARTS)) {
    const open = groups.at(-1) as { start: number; branches: boolean };
    if (part.startsWith('(')) groups.push({ start: index, branches: false });
    else if (part === ')' && groups.length > 1) {
      groups.pop();
      closed = { start: open.start, end: index + 1, branches: open.branches };
      if (open.branches) (groups.at(-1) as { branches: boolean }).branches = true;
      continue;
    } else if (part === '|') open.branches = true;
    else if (isLong(part)) {
      if (closed?.end === index && closed.branches) return source.slice(closed.start, index + part.length);
      open.branches = true;
    }
    closed = undefined;
  }
  return null;
}

function isLong(part: string): boolean {
  if (part === '*' || part === '+') return true;
  const [, least, comma, most] = /^\{(\d+)(,?)(\d*)\}$/.exec(part) ?? [];
  if (least === undefined) return false;
  return comma !== '' && most === '' ? true : Number(most || least) > MAX_COUNT;
}
