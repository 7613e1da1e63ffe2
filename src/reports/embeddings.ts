import type { EmbeddingAgreement } from '../metrics/embeddings.ts';
import { percents } from './numbers.ts';

/** What is measured of embeddings, each with its name. */
export function embeddingRows(found: EmbeddingAgreement): readonly (readonly [name: string, value: string])[] {
  const { meanCosine, worstCosine, neighbours, similarities } = found;
  return [
    ['mean cosine', percents(meanCosine)],
    ['worst cosine', percents(worstCosine)],
    ...(neighbours === null ? [] : [['same nearest text', percents(neighbours)] as const]),
    ...(similarities === null ? [] : [['similarity ranks', similarities.toFixed(4)] as const]),
  ];
}
