import { MbertError } from '../../errors.ts';
import type { Call, Constant, Graph, Input, Node } from '../../ir/graph.ts';
import { tokenInput } from '../../ir/names.ts';
import { computedTensor, readF32, type Tensor } from '../../ir/tensor.ts';
import { PAIR_TASKS } from '../../models/index.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';

/**
 * Makes every token one of the first text, so that the graph needs no token types:
 * x + types[ids] = x + types[0], and where x adds positions, (w + p) + types[0] = w + (p + types[0]) moves into their table.
 * Throws USAGE for a model that has none or that needs them, UNSUPPORTED where something else reads them.
 */
export function dropTokenTypes(graph: Graph, { path, task }: OpenedModel): void {
  const input = typesOf(graph);
  if (input === undefined) {
    throw new MbertError('USAGE', `--drop-token-types: ${path} takes no token types`, { hint: 'leave it out' });
  }
  if (task !== undefined && PAIR_TASKS.has(task)) {
    throw new MbertError('USAGE', `--drop-token-types: a model for ${task} tells two texts apart by them`);
  }
  for (const looked of lookUpsOf(input, path)) {
    const row = firstRow(looked);
    if (!moveIntoPositions(graph, looked.node, row)) {
      graph.replace(looked.node, () => graph.constant(row, `${looked.node.name}.first`));
    }
  }
  graph.prune();
  graph.removeInput(input);
}

/** Adds an input for token types that nothing reads, where a graph of ids and mask has none. */
export function addTokenTypes(graph: Graph): void {
  const [first] = graph.inputs;
  if (first !== undefined && graph.inputs.length === 2 && typesOf(graph) === undefined) {
    graph.input('token_type_ids', first.type);
  }
}

function typesOf({ inputs }: Graph): Input | undefined {
  return inputs.find(({ name }) => tokenInput(name) === 'token_type_ids');
}

/** A look-up of rows by token types. */
interface LookUp {
  readonly node: Node;
  readonly table: Constant;
}

/** Finds them, whose indices may have been reshaped or cast. */
function lookUpsOf(node: Node, path: string): LookUp[] {
  return [...node.users].flatMap((user) => {
    if (user.op === 'reshape' || user.op === 'cast') return lookUpsOf(user, path);
    const [table, indices] = user.inputs;
    const isLookUp = user.op === 'gather' && indices === node && user.attrs.axis === 0;
    if (isLookUp && table?.op === 'constant' && table.type.quant === undefined && table.type.shape.length === 2) {
      return [{ node: user, table }];
    }
    throw new MbertError(
      'UNSUPPORTED',
      `${path}: ${user.name}: reads token types as something else than rows of a table`,
      {
        hint: 'convert it with its three inputs, without --drop-token-types',
      },
    );
  });
}

/** Row 0 of the table, for all tokens. */
function firstRow({ table }: LookUp): Tensor {
  const [, width = 0] = table.tensor.shape;
  return computedTensor('f32', [width], () => readF32(table.tensor).slice(0, width));
}

/** Adds the row to the table of positions in the same sum, and takes the look-up out of it; false where there is none. */
function moveIntoPositions(graph: Graph, looked: Node, row: Tensor): boolean {
  const sum = onlyUser(looked);
  const positions = sum?.op === 'add' ? positionsIn(topOf(sum), row) : undefined;
  if (sum === undefined || positions === undefined) return false;
  const [table] = positions.inputs as readonly [Constant];
  graph.replace(positions, () => {
    const moved = graph.constant(sumOf(table.tensor, row), `${table.name}.with_types`);
    return graph.add('slice', [moved], positions.attrs, positions.name);
  });
  return graph.replace(sum, () => sum.inputs.find((operand) => operand !== looked) ?? null);
}

function onlyUser({ users }: Node): Node | undefined {
  return users.size === 1 ? [...users][0] : undefined;
}

/** The last of the sums that this one is an operand of. */
function topOf(sum: Node): Node {
  for (let top = sum; ; ) {
    const user = onlyUser(top);
    if (user?.op !== 'add') return top;
    top = user;
  }
}

/** The slice of a table of positions among the operands of a sum, which nothing else reads. */
function positionsIn(node: Node, row: Tensor): Call<'slice'> | undefined {
  if (node.op === 'add') {
    for (const operand of node.inputs) {
      const found = onlyUser(operand) === node ? positionsIn(operand, row) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const [table] = node.inputs;
  const isTable = node.op === 'slice' && table?.op === 'constant' && table.type.quant === undefined;
  return isTable && table.tensor.shape.at(-1) === row.shape[0] ? node : undefined;
}

/** Each row of a table with `row` added. */
function sumOf(table: Tensor, row: Tensor): Tensor {
  return computedTensor('f32', table.shape, () => {
    const [values, added] = [readF32(table).slice(), readF32(row)];
    for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + (added[i % added.length] as number);
    return values;
  });
}
