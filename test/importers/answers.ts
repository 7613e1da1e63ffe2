import { expect } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { openSource } from '../../src/importers/index.ts';
import { buildModel } from '../../src/models/index.ts';

const OPTIONS = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** Opens, builds and reads every weight, as an exporter does. Returns the warnings. */
async function load(path: string): Promise<readonly string[]> {
  const source = await openSource(path);
  if (source.yields !== 'checkpoint') throw new Error(`${path} holds no weights`);
  const { checkpoint } = source;
  try {
    const { graph, warnings } = buildModel(checkpoint, OPTIONS);
    for (const node of graph.nodes()) if (node.op === 'constant') node.tensor.bytes();
    return warnings;
  } finally {
    checkpoint.close();
  }
}

/** A damaged file, the error's code (or `warning`), and what must be in the message. */
export type BadRow = readonly [name: string, code: string, ...parts: string[]];

/** Checks that loading gives that answer, naming a file of the folder; anything but an MbertError is thrown on. */
export async function expectAnswer(path: string, code: string, parts: readonly string[]): Promise<void> {
  const answer = await load(path).then(
    (warnings) => ({ code: warnings.length > 0 ? 'warning' : 'none', text: warnings.join('\n') }),
    (error: unknown) => {
      if (!(error instanceof MbertError)) throw error;
      return { code: error.code, text: `${error.message}\n${error.hint}` };
    },
  );
  for (const part of parts) expect(answer.text).toContain(part);
  expect(answer.code).toBe(code);
  if (code !== 'none') expect(answer.text.startsWith(`${path}/`)).toBe(true);
}
