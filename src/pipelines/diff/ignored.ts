import type { Difference, Names } from '../../diff/difference.ts';

/** True for a name that one of the patterns fits; `*` stands for anything. */
export function matchesAny(patterns: readonly string[]): (name: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`);
  });
  return (name) => expressions.some((expression) => expression.test(name));
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
