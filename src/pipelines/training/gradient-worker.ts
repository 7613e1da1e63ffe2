import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { MbertError } from '../../errors.ts';
import { onnxruntime } from '../../runtimes/onnxruntime.ts';
import { sequentialRuns } from './part-runs.ts';
import {
  type GradientAnswer,
  type GradientRequest,
  type GradientWorkerData,
  received,
  sent,
} from './thread-messages.ts';

const { path, name, threads, values, parameters, sums } = workerData as GradientWorkerData;
const port = parentPort as MessagePort;
const answer = (message: GradientAnswer) => port.postMessage(message);

function fail(cause: unknown): void {
  const { code, hint } = cause instanceof MbertError ? cause : { code: undefined, hint: undefined };
  answer({ kind: 'failed', code, message: cause instanceof Error ? cause.message : String(cause), hint });
}

/** The arrays outside shared memory: ONNX Runtime takes none of that. */
const own = parameters.map((each) => ({ ...each, values: new Float32Array(each.values.length) }));

try {
  const session = await onnxruntime.load(path, { name, threads, spinning: false });
  const runs = sequentialRuns(session, own, { values, sums });
  port.on('message', async (request: GradientRequest) => {
    if (request.kind === 'close') {
      try {
        await runs.close();
      } finally {
        port.close();
      }
      return;
    }
    try {
      for (const [i, { values: present }] of own.entries()) present.set(parameters[i]?.values as Float32Array);
      const parts = request.parts.map(({ feeds, share }) => ({ feeds: received(feeds), share }));
      answer({ kind: 'ran', outputs: (await runs.run(parts)).map(sent) });
    } catch (cause) {
      fail(cause);
    }
  });
  answer({ kind: 'opened', inputs: runs.inputs });
} catch (cause) {
  fail(cause);
}
