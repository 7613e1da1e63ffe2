import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { afterAll } from 'vitest';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { builtinOperatorValues, modelRoot } from '../../src/formats/tflite/generated/model.ts';

/** A folder for what a test file writes, gone when it is done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export type Counts = { readonly [op: string]: number };

function count(names: Iterable<string>): Counts {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** How many operators of each kind a written file holds, by the format's own names. */
export function countOperators(path: string): Counts {
  const bytes = readFileSync(path);
  if (path.endsWith('.onnx')) {
    const model = onnxProto.onnx.ModelProto.decode(bytes);
    return count(model.graph?.node?.map((node) => node.opType ?? '') ?? []);
  }
  const { operatorCodes = [], subgraphs = [] } = decodeFlatbuffer(modelRoot, bytes, path);
  const codes = operatorCodes.map(({ builtinCode }) => String(builtinCode));
  const known = codes.every((code) => code in builtinOperatorValues);
  if (!known) throw new Error(`${path}: has unknown operators ${codes}`);
  return count(
    subgraphs.flatMap(({ operators = [] }) => operators.map(({ opcodeIndex = 0 }) => codes[opcodeIndex] ?? '')),
  );
}
