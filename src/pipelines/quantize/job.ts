import type { OpenedModel } from '../../opened/opened-model.ts';
import type { Evidence } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import type { QuantizationOptions } from '../../options/quantization.ts';
import type { Run } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Writing } from '../../options/writing.ts';
import type { TargetProfile } from '../../quantization/targets.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import type { FitReport } from '../fit/types.ts';
import type { WritePlan } from '../write/plans.ts';
import type { CalibrationRuns } from './calibration-runs.ts';

/** The user's request, the same for each file. */
export interface QuantizeRequest {
  readonly source: string;
  readonly shape: ShapeOptions;
  readonly passes: PassChoice;
  readonly writing: Writing;
  readonly evidence: Evidence;
  readonly quantization: QuantizationOptions;
  readonly dumpRecipe: string | undefined;
  readonly maxSize: number | undefined;
  readonly outline: boolean;
}

/** One file to write: the request, what it is made of, and the texts that it is measured on. */
export interface QuantizeJob {
  readonly request: QuantizeRequest;
  readonly model: OpenedModel;
  /** Changes that passes have made to the model's function before. */
  readonly fit: FitReport | undefined;
  readonly plan: WritePlan;
  readonly profile: TargetProfile;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
  readonly calibration: CalibrationRuns;
  readonly run: Run;
}

/** Metadata of a file that says how it was made. */
export function manifestOf({ request, profile, samples }: QuantizeJob): { readonly [key: string]: unknown } {
  const { manifest, overlap } = samples;
  return {
    scheme: request.quantization.scheme,
    target: profile.name,
    ...(manifest && { calibration: manifest }),
    ...(overlap > 0 && { overlap }),
  };
}
