import type { Rule } from '../rule.ts';
import type { TfliteModel } from './model.ts';

/** The alignment that TFLite's schema states as `force_align: 16` on Buffer.data. */
const ALIGNMENT = 16;

export const bufferAlignment: Rule<TfliteModel> = {
  name: 'buffer-alignment',
  summary: 'buffers start on 16-byte lines, as the schema asks: kernels read weights in place with vector loads',
  *check({ bytes, buffers }) {
    const starts = buffers.flatMap((data, buffer) =>
      data?.byteLength ? [{ buffer, offset: data.byteOffset - bytes.byteOffset }] : [],
    );
    const wrong = starts.filter(({ offset }) => offset % ALIGNMENT !== 0);
    const [first] = wrong;
    if (first === undefined) return;
    const problem = `${wrong.length} of ${starts.length} buffers start elsewhere, first this one at byte ${first.offset}`;
    yield { severity: 'warning', where: `buffer ${first.buffer}`, problem };
  },
};
