/** Takes `name`, or where it is taken already one like it with a number. */
export function takeName(taken: Set<string>, name: string): string {
  let free = name;
  for (let n = 1; taken.has(free); n++) free = `${name}_${n}`;
  taken.add(free);
  return free;
}
