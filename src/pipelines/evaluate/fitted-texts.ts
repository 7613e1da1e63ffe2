import type { FittedTexts, Places } from '../../opened/fitted-texts.ts';
import type { SampleFile, TokenSample } from '../../samples/open-samples.ts';
import { findOverlap } from '../../samples/overlap.ts';
import type { RowReader } from './row-reader.ts';

/** Samples of a file by what a model's weights have to do with them. */
export interface SeenSamples {
  /** Samples that it was fitted to or trained on. */
  readonly learnt: readonly TokenSample[];
  /** Samples that its training was watched by. */
  readonly watched: readonly TokenSample[];
  /** Texts of other files. */
  readonly others: readonly FittedTexts[];
}

/** Finds the samples of a file that a model's weights were made with, by the file's hash. */
export function seenSamples(
  fitted: readonly FittedTexts[],
  path: string,
  reader: Pick<RowReader, 'inOrder'>,
): SeenSamples {
  const learnt: TokenSample[] = [];
  const watched: TokenSample[] = [];
  const others: FittedTexts[] = [];
  // A model that was trained again and again has many entries, most of them of one order.
  const orders = new Map<number | null, SampleFile>();
  for (const texts of fitted) {
    const file = orders.get(texts.seed) ?? reader.inOrder(path, texts.seed ?? undefined);
    orders.set(texts.seed, file);
    if (file.sha256 !== texts.sha256) {
      others.push(texts);
      continue;
    }
    const at = (places: readonly Places[]) =>
      places.flatMap(([first, behind]) => file.take(first, behind - first).samples);
    for (const sample of at(texts.places ?? [[0, texts.count]])) learnt.push(sample);
    for (const sample of at(texts.watched ?? [])) watched.push(sample);
  }
  return { learnt, watched, others };
}

/** Warns where a model is measured on samples of a file, by default all of them, that its weights were made with. */
export function seenWarnings(
  { path, fitted }: { readonly path: string; readonly fitted: readonly FittedTexts[] },
  data: string,
  reader: Pick<RowReader, 'inOrder'>,
  measured?: readonly TokenSample[],
): string[] {
  if (fitted.length === 0) return [];
  const samples = measured ?? allOf(reader.inOrder(data, undefined));
  const { learnt, watched } = seenSamples(fitted, data, reader);
  const seen = findOverlap([...learnt, ...watched], samples);
  if (seen === null) return [];
  return [
    `${data}: ${path} was fitted to ${seen.count} of the ${samples.length} samples that it is measured on, ` +
      'or chosen by them: what it gives on them is too good',
  ];
}

function allOf(file: SampleFile): readonly TokenSample[] {
  return file.take(0, file.count).samples;
}
