/** Most names that a given stem has, numbers apart; a stem of more was made by counting. */
const MAX_NUMBERED = 4;

/**
 * Tells names that say what a value is from names that only count: `layer.3.query` is found again in another file,
 * `add_17` is another value as soon as one more is added in front of it.
 */
export function findGivenNames(names: Iterable<string>): (name: string) => boolean {
  const counts = new Map<string, number>();
  for (const name of names) {
    const stem = stemOf(name);
    if (stem !== name) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  }
  return (name) => (counts.get(stemOf(name)) ?? 0) <= MAX_NUMBERED;
}

/** The name without the number at its end, or before the `:0` by which TensorFlow names outputs. */
function stemOf(name: string): string {
  return name.replace(/\d+(:\d+)?$/, '');
}
