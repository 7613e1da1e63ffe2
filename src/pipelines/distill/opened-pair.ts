import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { openSource } from '../../importers/index.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import { keepNothing, runPasses } from '../../ir/pass.ts';
import type { Task } from '../../models/index.ts';
import { bindingsTo } from '../../opened/changed-model.ts';
import { fromCheckpoint } from '../../opened/checkpoint-model.ts';
import { fromGraph } from '../../opened/graph-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import { foldConstants } from '../../passes/fold-constants.ts';
import { fuseLinear } from '../../passes/fuse-linear.ts';
import { refuseUntrainable } from '../training/trainable.ts';

/** A model that is opened, with its weights as they are stored where it has any by name. */
export interface OpenedSide {
  readonly path: string;
  readonly model: OpenedModel;
  readonly graph: Graph;
  readonly checkpoint: Checkpoint | undefined;
}

/** Opens a teacher or a student. `--task` is for checkpoints: a graph keeps the head that it has. */
export async function openSide(path: string, task: Task | undefined): Promise<OpenedSide> {
  const source = await openSource(path);
  try {
    if (source.yields === 'checkpoint') {
      const model = fromCheckpoint(source.checkpoint, { task });
      return { path, model, graph: trainable(model.reference()), checkpoint: source.checkpoint };
    }
    const model = await fromGraph(source, {});
    const graph = model.reference();
    await runPasses(graph, [foldConstants, fuseLinear], keepNothing);
    return { path, model, graph: trainable(graph), checkpoint: undefined };
  } catch (cause) {
    if (source.yields === 'checkpoint') source.checkpoint.close();
    else source.close();
    throw cause;
  }
}

function trainable(graph: Graph): Graph {
  refuseUntrainable(graph, 'distillation');
  return graph;
}

/**
 * Brings a teacher's graph to the sizes of its student's inputs. Throws MISMATCH where the two read other tokens or have
 * no answer in common.
 */
export function alignedTeacher(teacher: OpenedSide, student: OpenedSide): Graph {
  const [own, other] = [student, teacher].map(({ graph }) => tableRows(graph, 'input_ids'));
  if (own !== other) {
    throw new MbertError('MISMATCH', `${student.path}: has ${own} words, the teacher ${other}`, {
      hint: 'both have to read the same tokens: take a student of the same vocabulary, as mbert extract makes one',
    });
  }
  const [a, b] = [student, teacher].map(({ model }) => model.tokenizer.vocabulary?.bytes);
  if (a && b && Buffer.compare(a, b) !== 0) {
    throw new MbertError('MISMATCH', `${student.path}: its vocabulary is not the teacher's`, {
      hint: 'both have to read the same tokens: take a student of the same vocabulary, as mbert extract makes one',
    });
  }
  refuseOtherOrder(teacher, student);
  const names = teacher.graph.outputs.map(({ name }) => name);
  if (!student.graph.outputs.some(({ name }) => names.includes(name))) {
    const answers = student.graph.outputs.map(({ name }) => name).join(', ');
    throw new MbertError('MISMATCH', `${student.path}: answers ${answers}, the teacher ${names.join(', ')}`, {
      hint: 'both need one output of one name: --task builds another head',
    });
  }
  for (const { name, node } of student.graph.outputs) {
    const other = teacher.graph.outputs.find((output) => output.name === name)?.node;
    const [a, b] = [node.type.shape.at(-1), other?.type.shape.at(-1)];
    if (typeof a !== 'number' || typeof b !== 'number' || a === b) continue;
    throw new MbertError('MISMATCH', `${student.path}: ${name} has ${a} values, the teacher's ${b}`, {
      hint: 'layers of other widths are mapped, answers are not: they have to mean the same',
    });
  }
  return copyGraph(teacher.graph, { bindings: bindingsTo(teacher.graph, student.graph) });
}

/** Throws MISMATCH for a student whose classes are the teacher's in another order: it learns numbers, not names. */
function refuseOtherOrder(teacher: OpenedSide, student: OpenedSide): void {
  const [own, others] = [student.model.labels, teacher.model.labels];
  if (own === undefined || others === undefined || own.join() === others.join()) return;
  if (own.toSorted().join() !== others.toSorted().join()) return;
  throw new MbertError(
    'MISMATCH',
    `${student.path}: its classes are ${own.join(', ')}, the teacher's ${others.join(', ')}`,
    {
      hint: 'a student answers by the number of a class: bring id2label in its config.json into the order of the teacher',
    },
  );
}
