import { MbertError } from '../errors.ts';

/**
 * Throws USAGE for the first flag that is given and that this way to call the command would ignore: any but those of the options that are
 * `read`. The problem and the hint are worded with the flag in place of FLAG.
 */
export function refuseUnused(options: object, read: readonly string[], problem: string, hint: string): void {
  const unused = Object.entries(options).find(([name, value]) => value !== undefined && !read.includes(name));
  if (unused === undefined) return;
  const flag = `--${unused[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new MbertError('USAGE', `${flag}: ${problem}`, { hint: hint.replace('FLAG', flag) });
}
