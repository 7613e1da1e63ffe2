import { type Architecture, BERT_TASKS } from './architecture.ts';
import { BERT_BASE, bertModel, embeddings, layers, readSettings, sizeClaims } from './bert.ts';
import { firstRow } from './builder.ts';

/**
 * ERNIE 1.0 to 3.0 (Sun et al. 2019, https://arxiv.org/abs/1904.09223): BERT whose tokens may also be of a task, here
 * task 0.
 */
export const ernie: Architecture = {
  modelType: 'ernie',
  module: 'ernie',
  takesTokenTypes: true,
  tasks: BERT_TASKS,
  predictions: 'cls.predictions',
  read(config) {
    const settings = readSettings(config, BERT_BASE);
    const taskTypes = config.flag('use_task_id', false) ? config.size('task_type_vocab_size', 3) : undefined;
    const model = bertModel(settings, (builder, scope) => {
      const name = `${scope}embeddings`;
      const task =
        taskTypes && firstRow(builder, `${name}.task_type_embeddings`, taskTypes.value, settings.hidden.value);
      return layers(builder, settings, scope, embeddings(builder, settings, name, task));
    });
    if (taskTypes === undefined) return model;
    const claim = (scope: string) =>
      ({ size: taskTypes, weight: `${scope}embeddings.task_type_embeddings.weight`, axis: 0 }) as const;
    return { ...model, sizes: (scope) => [...sizeClaims(settings, scope), claim(scope)] };
  },
};
