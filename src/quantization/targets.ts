import { MbertError } from '../errors.ts';
import type { Form } from './forms/form.ts';
import { integerGemms } from './forms/integer-gemms.ts';
import { integerGraph, strictIntegerGraph } from './forms/integer-graph.ts';
import { weightsOnly } from './forms/weights-only.ts';
import type { Scheme } from './settings.ts';
import { type Granularity, PLAIN_BLOCKS, type WeightBlocks } from './weights.ts';

/** Name of a target profile. */
export type TargetName = 'cpu' | 'ort' | 'npu' | 'hexagon';

/** The kind of processor that a model will run on, as far as it decides the form. */
export interface TargetProfile {
  readonly name: TargetName;
  /** A line for help and docs. */
  readonly summary: string;
  readonly formats: readonly ('onnx' | 'tflite')[];
  /** Whether it computes on integers only, softmax and mask among them. */
  readonly isStrict: boolean;
  /** The number of scales that a weight may have there. */
  readonly granularity: Granularity;
  /** The blocks that weights may have there. */
  readonly blocks: WeightBlocks;
  /** The operators that an ONNX file may use: those of the standard, or ONNX Runtime's own besides. */
  readonly operators: 'standard' | 'onnxruntime';
}

/**
 * Blocks of MatMulNBits. Shorter ones are more exact, also for activations, which are rounded in the same blocks: a
 * MiniLM in 8 bits has 26.9 dB with 128, 29.1 with 64, 31.3 with 32, at 1.28, 1.36 and 1.18 times the speed of floats
 * (ONNX Runtime 1.30, 128 tokens).
 */
const MATMULNBITS_BLOCKS: WeightBlocks = { w4: 32, w8: 64, hasZeroPoints: true, hasTables: true };

/**
 * Neighbours that share a scale in a word table whose common rows have their errors stored as well: as the rows that
 * texts mostly read are exact, longer blocks cost little, and save 7 % of the table.
 */
const LONG_TABLE_BLOCKS = 64;

/** Every target, the default first. */
export const targets: readonly TargetProfile[] = [
  {
    name: 'cpu',
    summary: 'ONNX Runtime and XNNPACK: what they run fastest',
    formats: ['onnx', 'tflite'],
    isStrict: false,
    granularity: 'channel',
    blocks: PLAIN_BLOCKS,
    operators: 'standard',
  },
  {
    name: 'ort',
    summary: 'ONNX Runtime 1.22 and newer: operators of its own for weights in blocks of 4 and 8 bits',
    formats: ['onnx'],
    isStrict: false,
    granularity: 'channel',
    blocks: MATMULNBITS_BLOCKS,
    operators: 'onnxruntime',
  },
  {
    name: 'npu',
    summary: 'accelerators that compute nothing but integers',
    formats: ['tflite'],
    isStrict: true,
    granularity: 'channel',
    blocks: PLAIN_BLOCKS,
    operators: 'standard',
  },
  {
    name: 'hexagon',
    summary: "Qualcomm's DSP: integers only, one scale per weight",
    formats: ['tflite'],
    isStrict: true,
    granularity: 'tensor',
    blocks: PLAIN_BLOCKS,
    operators: 'standard',
  },
];

/** Finds a target by its name. Throws USAGE for a name that is none, or a target that has no files of this format. */
export function targetNamed(name: string, format: 'onnx' | 'tflite'): TargetProfile {
  const profile = targets.find((target) => target.name === name);
  if (profile === undefined) {
    throw new MbertError('USAGE', `--target: there is no target "${name}"`, {
      hint: `it is one of ${targets.map((target) => target.name).join(', ')}`,
    });
  }
  if (profile.formats.includes(format)) return profile;
  throw new MbertError('USAGE', `--target ${name}: takes ${profile.formats.join(', ')} files, not ${format}`, {
    hint: `write a .${profile.formats[0]} file, or use another target`,
  });
}

/**
 * Chooses the form of a scheme on a target; f16 needs none, the exporters store it. Throws USAGE for a scheme that the
 * target cannot run.
 */
export function formFor(scheme: Exclude<Scheme, 'f16'>, format: 'onnx' | 'tflite', target: TargetProfile): Form {
  if (scheme === 'dynamic' || scheme === 'w4') {
    if (!target.isStrict) return weightsOnly;
    throw new MbertError('USAGE', `--scheme ${scheme}: computes on floats, which ${target.name} cannot`, {
      hint: 'use --scheme int8',
    });
  }
  if (target.isStrict) return strictIntegerGraph;
  return format === 'onnx' ? integerGemms : integerGraph;
}

/**
 * Gives the blocks that weights have on a target in files of a format. 4 bits have zero points in ONNX, where both
 * MatMulNBits and what ONNX Runtime makes of DequantizeLinear take them: 22.1 dB of a MiniLM's weights, symmetric 20.6.
 * `hasTexts` says whether the common rows of tables are known.
 */
export function blocksFor(format: 'onnx' | 'tflite', { blocks }: TargetProfile, hasTexts = false): WeightBlocks {
  const longer = blocks.hasTables && hasTexts ? { ...blocks, wordTable: LONG_TABLE_BLOCKS } : blocks;
  return format === 'onnx' ? { ...longer, hasZeroPoints: true } : longer;
}

/**
 * Chooses how many scales weights get: what is asked for, else blocks for 4-bit weights where the runtime is fast on
 * them, which XNNPACK in WebAssembly is not. Throws USAGE for what the scheme or the target cannot have.
 */
export function granularityFor(
  scheme: Scheme,
  format: 'onnx' | 'tflite',
  target: TargetProfile,
  asked: Granularity | undefined,
): Granularity {
  const hasBlocks = scheme === 'w4' || (scheme === 'dynamic' && target.blocks.w8 !== undefined);
  if (asked === 'block' && !hasBlocks) {
    throw new MbertError('USAGE', `--granularity block: is for --scheme w4, not ${scheme}`, {
      hint: 'blocks of 8 bits are for --scheme dynamic with --target ort',
    });
  }
  if (asked !== undefined && asked !== 'tensor' && target.granularity === 'tensor') {
    throw new MbertError('USAGE', `--granularity ${asked}: ${target.name} takes one scale per weight`);
  }
  if (asked !== undefined) return asked;
  return hasBlocks && format === 'onnx' ? 'block' : target.granularity;
}
