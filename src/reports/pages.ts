import type { BenchResult } from '../pipelines/bench/bench.ts';
import type { CompareResult } from '../pipelines/compare/compare.ts';
import type { ModelDiff } from '../pipelines/diff/diff-models.ts';
import type { DistillResult } from '../pipelines/distill/types.ts';
import type { InspectResult } from '../pipelines/inspect/inspect.ts';
import type { QuantizeResult } from '../pipelines/quantize/quantize.ts';
import type { VerifyResult } from '../pipelines/verify/types.ts';
import type { Place } from './html/page.ts';

/**
 * HTML pages of results, each in one file that loads nothing. Results that were asked for with `outline` have a picture
 * of the graph. What lays graphs out is loaded when the first page is made.
 */
export const pages = {
  async bench(result: BenchResult): Promise<string> {
    return (await import('./bench-html.ts')).benchHtml(result);
  },
  async compare(result: CompareResult): Promise<string> {
    return (await import('./compare-html.ts')).compareHtml(result);
  },
  async diff(diff: ModelDiff, all = false, place?: Place): Promise<string> {
    return (await import('./diff-html.ts')).diffHtml(diff, all, place);
  },
  async distill(result: DistillResult): Promise<string> {
    return (await import('./distill-html.ts')).distillHtml(result);
  },
  async inspect(result: InspectResult, place?: Place): Promise<string> {
    return (await import('./inspect-html.ts')).inspectHtml(result, place);
  },
  async quantize(result: QuantizeResult): Promise<string> {
    return (await import('./quantize-html.ts')).quantizeHtml(result);
  },
  async verify(result: VerifyResult): Promise<string> {
    return (await import('./verify-html.ts')).verifyHtml(result);
  },
} as const;
