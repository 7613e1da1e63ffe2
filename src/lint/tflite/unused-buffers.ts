import type { Rule } from '../rule.ts';
import { type TfliteModel, tensorsOf } from './model.ts';

export const unusedBuffers: Rule<TfliteModel> = {
  name: 'unused-buffers',
  summary: 'every buffer but the empty first one belongs to a tensor or to metadata, and equal ones are stored once',
  *check(model) {
    const used = new Set<number>([0, ...(model.file.metadataBuffer ?? [])]);
    for (const { buffer } of tensorsOf(model)) used.add(buffer);
    for (const { buffer } of model.file.metadata ?? []) used.add(buffer);
    for (const [i, data] of model.buffers.entries()) {
      const bytes = data?.byteLength ?? 0;
      if (i === 0 && bytes > 0) yield { severity: 'warning', where: 'buffer 0', problem: `holds ${bytes} bytes` };
      if (bytes > 0 && !used.has(i))
        yield { severity: 'warning', where: `buffer ${i}`, problem: `has ${bytes} bytes that nothing reads` };
    }
  },
};
