import type { Difference, Names } from '../../diff/difference.ts';

/** True for a name that one of the patterns fits; `*` stands for anything. */
export function matchesAny(patterns: readonly string[]): (name: string) => boolean {
  const parts = patterns.map((pattern) => pattern.split('*'));
  return (name) => parts.some((each) => fits(name, each));
}

/** Looks for each part behind the one before, which takes no second try: an earlier place leaves more room for the rest. */
function fits(name: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/**
 * The subjects of a difference, each by its names in a and b. The difference is ignored where every subject is, by
 * either name.
 */
export function subjectsOf(difference: Difference): readonly (readonly string[])[] {
  switch (difference.kind) {
    case 'structure':
      return structureSubjects(difference);
    case 'weights':
      return 'tensors' in difference ? difference.tensors.map(({ tensor }) => [tensor]) : [named(difference.tensor)];
    case 'quant':
      return [named(difference.value)];
    case 'metadata':
      return [[difference.key]];
    case 'numeric':
      return [named(difference.output)];
    default:
      return [['size']];
  }
}

function structureSubjects(difference: Extract<Difference, { kind: 'structure' }>): readonly (readonly string[])[] {
  switch (difference.change) {
    case 'added':
    case 'removed':
    case 'replaced':
      return [...difference.a, ...difference.b].map(({ name }) => [name]);
    case 'rewired':
      return difference.readers.map(({ node }) => named(node));
    case 'operands-swapped':
    case 'attributes':
      return [named(difference.node)];
    case 'input-type':
      return [named(difference.input)];
    case 'input-added':
    case 'input-removed':
    case 'output-added':
    case 'output-removed':
      return [[difference.name]];
    default:
      return difference.from.map((from, i) => [from, difference.to[i] ?? from]);
  }
}

function named({ a, b }: Names): readonly string[] {
  return [a, b];
}
