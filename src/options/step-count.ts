/**
 * How long a training takes: a number of steps, as many as fit into a time on this machine, or `auto` for as many as
 * held-out text gains by.
 */
export type StepCount = number | { readonly minutes: number } | 'auto';
