import type { Rule } from '../rule.ts';
import type { TfliteModel } from './model.ts';

/** `force_align: 16` on Buffer.data in TFLite's schema. */
const ALIGNMENT = 16;

export const bufferAlignment: Rule<TfliteModel> = {
  name: 'buffer-alignment',
  summary: 'buffers start on 16-byte lines, as the schema asks: kernels read weights in place with vector loads',
  *check({ bytes, buffers }) {
    for (const [i, data] of buffers.entries()) {
      if (data === undefined || data.byteLength === 0) continue;
      const offset = data.byteOffset - bytes.byteOffset;
      if (offset % ALIGNMENT === 0) continue;
      yield {
        severity: 'warning',
        where: `buffer ${i}`,
        problem: `starts at byte ${offset}, no multiple of ${ALIGNMENT}`,
      };
    }
  },
};
