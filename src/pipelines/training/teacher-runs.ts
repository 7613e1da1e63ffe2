import { loadOnnxModel, modelOf } from '../../calibration/graph-session.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { feedsOf, type TokenRow } from '../../samples/feeds.ts';

/** Runs the teacher alone, on batches of texts. */
export interface TeacherRuns {
  /** The teacher's answers by the names of its outputs. */
  answers(rows: readonly TokenRow[], length: number): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/** Loads a teacher into ONNX Runtime. */
export async function openTeacher(teacher: Graph, pad: number): Promise<TeacherRuns> {
  const nodes = teacher.outputs.map(({ node }) => node);
  const session: RuntimeSession = await loadOnnxModel(modelOf(teacher, nodes));
  return {
    async answers(rows, length) {
      const feeds = new Map<string, Tensor>();
      const tokens = feedsOf(rows, { dtype: 'i64', shape: [rows.length, length], pad });
      for (const { name } of session.inputs) feeds.set(name, tokens.get(name) as Tensor);
      const values = await session.run(feeds);
      return new Map(teacher.outputs.map(({ name, node }) => [name, values.get(node.name) as Tensor]));
    },
    close: () => session.close(),
  };
}
