import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type QuantizedFile, type QuantizeOptions, quantize } from '../../../src/pipelines/quantize/quantize.ts';
import { temporaryFolder } from '../written.ts';

/** Four layers with LayerNorm and GELU, trained on SST-2. */
export const DEMO = 'fixtures/mobilebert-demo';
/** Two layers each, their weights random: with NoNorm and ReLU, with LayerNorm and GELU, and one that gives features. */
export const NO_NORM = 'fixtures/hf-seqcls';
export const LAYER_NORM = 'fixtures/bert-seqcls';
export const FEATURES = 'fixtures/hf-features';
/** Eleven layers, tiny as well. */
export const DEEP = 'fixtures/hf-qa-deep';

export const folder = temporaryFolder();
export const at = (name: string) => join(folder, name);

/** A file of lines in the temporary folder. */
export function textFile(name: string, content: readonly string[]): string {
  writeFileSync(at(name), `${content.join('\n')}\n`);
  return at(name);
}

export const lines = readFileSync(join(DEMO, 'sst2-train-256.txt'), 'utf8').split('\n');
export const few = textFile('few.txt', lines.slice(0, 24));
export const many = textFile('many.txt', lines.slice(0, 96));
const sentences = readFileSync(join(DEMO, 'sst2-dev-200.tsv'), 'utf8').split('\n');
export const labelled = textFile('labelled.tsv', sentences.slice(0, 33));
export const short = textFile('short.tsv', sentences.slice(0, 9));

type Wanted = Partial<QuantizeOptions> & Pick<QuantizeOptions, 'scheme'>;

export async function quantizeTo(
  output: string,
  options: Wanted & Pick<QuantizeOptions, 'source'>,
): Promise<QuantizedFile> {
  const { results } = await quantize({ output: at(output), ...options });
  const [result] = results;
  if (result === undefined) throw new Error('nothing was written');
  return result;
}

/** The trained model at 16 tokens, calibrated on 16 lines; labelled sentences prove. */
export function quantizeDemo(output: string, options: Wanted): Promise<QuantizedFile> {
  const common = { sequenceLength: 16, calibrate: few, samples: 16, data: labelled };
  return quantizeTo(output, { source: DEMO, ...common, ...options });
}

/** The tiny model at 16 tokens; what the calibration file has left proves. */
export function quantizeTiny(output: string, options: Wanted & Partial<QuantizeOptions>): Promise<QuantizedFile> {
  return quantizeTo(output, { source: NO_NORM, sequenceLength: 16, calibrate: many, samples: 32, ...options });
}

/** Each scheme of the trained model once: the tests of a file look at the same one. */
const made = new Map<string, Promise<QuantizedFile>>();
export function demo(output: string, scheme: QuantizeOptions['scheme'], data = labelled): Promise<QuantizedFile> {
  const found = made.get(output) ?? quantizeDemo(output, { scheme, data });
  made.set(output, found);
  return found;
}
