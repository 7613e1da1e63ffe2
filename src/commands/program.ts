import { fileURLToPath } from 'node:url';
import { PACKAGE } from '../version.ts';

/** The program that runs a job in a process of its own: this one. */
export const PROGRAM: readonly [string, ...string[]] = [
  process.execPath,
  fileURLToPath(new URL('bin/mbert.js', PACKAGE)),
];
