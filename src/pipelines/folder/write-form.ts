import type { Task } from '../../models/index.ts';
import type { FormName } from '../../options/forms.ts';
import { timedApart } from '../../options/run.ts';
import type { Target } from '../../passes/index.ts';
import { type FileSettings, type OpenReference, twinOf, verifyWritten } from '../convert/check-written.ts';
import type { WrittenVerification } from '../convert/verify-written.ts';
import type { AgreementOf } from '../evaluate/agreement.ts';
import type { Proof } from '../evaluate/compare-files.ts';
import { fitProperties } from '../fit/change-function.ts';
import type { ChangedModel } from '../fit/types.ts';
import type { QuantizeRequest } from '../quantize/job.ts';
import { withLint } from '../quantize/lint-written.ts';
import { quantizeTo } from '../quantize/quantize.ts';
import type { SharedWork } from '../quantize/shared-work.ts';
import type { WritePlan } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { writeModel } from '../write/write-model.ts';
import type { Measured, WrittenForm } from './types.ts';

/** One form to write, and how. */
export interface FormPlan extends WritePlan {
  readonly form: FormName;
  readonly openedBy: string | undefined;
  /** Settings of its quantization; undefined for f32. */
  readonly request: QuantizeRequest | undefined;
}

/** What the forms of a model share. */
export interface FormContext {
  readonly changed: ChangedModel;
  readonly settings: FileSettings;
  readonly shared: SharedWork;
  /** The source in its runtime, opened when it is first asked for. */
  reference(target: Target): Promise<OpenReference>;
}

/** Writes one form and runs it beside what it was made of. */
export async function writeForm(plan: FormPlan, context: FormContext): Promise<WrittenForm> {
  const { form, openedBy, request } = plan;
  if (request === undefined) return writeFloats(plan, context);
  const { changed, settings, shared } = context;
  const made = await quantizeTo(changed, plan, request, timedApart(settings.run), shared);
  // What follows reads the file.
  const { dryRun } = settings.writing;
  const file = dryRun ? made : withLint(made);
  const { proof, warnings } = file;
  const measured = dryRun ? undefined : proof ? provenBy(proof) : await measure(plan, context);
  const isBroken = measured !== undefined && Number.isNaN(measured.sqnrDb);
  const failures = isBroken ? [...file.failures, `${plan.path}: an output holds NaN or infinity`] : file.failures;
  return {
    target: file.target,
    files: file.files,
    ...(dryRun && { dryRun: true as const }),
    inputs: file.inputs,
    outputs: file.outputs,
    nodesBefore: file.nodesBefore,
    nodesAfter: file.nodesAfter,
    passes: file.passes,
    scheme: file.scheme,
    floatBytes: file.floatBytes,
    linears: file.linears,
    widened: file.widened,
    times: file.times,
    needs: file.needs,
    form,
    openedBy,
    measured,
    calibration: await shared.calibrationOf(plan.target),
    failures,
    warnings,
  };
}

async function writeFloats(plan: FormPlan, { changed, settings, reference }: FormContext): Promise<WrittenForm> {
  const { model, fit } = changed;
  const { writing, run } = settings;
  const prepared = await prepare(model, plan.target, settings);
  const written = await writeModel(model, prepared, { plan, writing, properties: fitProperties(fit), run });
  const { form, openedBy } = plan;
  const common = { ...written, form, openedBy, calibration: undefined, warnings: [] };
  if (writing.dryRun) return { ...common, measured: undefined, failures: [] };
  const verification = await verifyWritten(model, plan, settings, await reference(plan.target));
  const { ok, outputs } = verification;
  const worst = outputs.find(({ maxAbsError, limit }) => !(maxAbsError <= limit));
  const failures =
    ok || worst === undefined ? [] : [differenceText(plan.path, worst.name, worst.maxAbsError, worst.limit)];
  return { ...common, measured: measuredBy(verification, model.task), failures };
}

function differenceText(path: string, output: string, error: number, limit: number): string {
  return `${path}: ${output}: differs from the source by ${error.toExponential(1)}, ${limit.toExponential(1)} is allowed`;
}

/** Runs a file beside its source on seeded sequences; undefined where LiteRT here takes none of its shapes. */
async function measure(plan: FormPlan, { changed, settings, reference }: FormContext): Promise<Measured | undefined> {
  const { model } = changed;
  if (twinOf(model, plan, settings) !== undefined) return undefined;
  return measuredBy(await verifyWritten(model, plan, settings, await reference(plan.target)), model.task);
}

/** True for models whose answers are vectors: the place of their largest number says nothing. */
function givesVectors(task: Task | undefined): boolean {
  return task === 'features' || task === 'sentence-embedding';
}

function measuredBy({ against, runtime, sequences, outputs }: WrittenVerification, task: Task | undefined): Measured {
  const agreements = outputs.map(({ agreement }) => agreement).filter((agreement) => agreement !== undefined);
  const hasChoices = agreements.length > 0 && !givesVectors(task);
  return {
    against,
    on: 'seeded token sequences',
    count: sequences,
    runtime,
    sqnrDb: Math.min(...outputs.map(({ sqnrDb }) => sqnrDb)),
    agreement: hasChoices ? Math.min(...agreements) : undefined,
    correlation: undefined,
    cosine: Math.min(...outputs.map((output) => output.cosine)),
    accuracy: undefined,
  };
}

function provenBy({ runtime, samples, sqnrDb, agreement, agreementOf, accuracy, embeddings }: Proof): Measured {
  const found = Number.isNaN(agreement) ? undefined : agreement;
  const as = (of: AgreementOf) => (agreementOf === of ? found : undefined);
  return {
    against: 'float graph',
    on: 'held-out texts',
    count: samples,
    runtime,
    sqnrDb,
    agreement: as('choices'),
    correlation: as('correlation'),
    cosine: embeddings?.meanCosine ?? as('cosine'),
    accuracy: accuracy && { float: accuracy.float, form: accuracy.quantized },
  };
}
