/** Entry of a table under a key that a file gave: `constructor` and `__proto__` are names like any other. */
export function lookUp<V>(table: { readonly [key: string]: V }, key: string): V | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
