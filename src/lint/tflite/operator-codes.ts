import { builtinOperatorValues } from '../../formats/tflite/generated/model.ts';
import type { Rule } from '../rule.ts';
import type { TfliteModel } from './model.ts';

/** The number in the old field, one signed byte, for codes that do not fit it. */
const PLACEHOLDER = 127;

export const operatorCodes: Rule<TfliteModel> = {
  name: 'operator-codes',
  summary:
    'an operator code stands in both fields, codes above 127 as 127 in the old one: runtimes of before 2020 read only that',
  *check({ file }) {
    for (const [i, { builtinCode, deprecatedBuiltinCode }] of (file.operatorCodes ?? []).entries()) {
      const code =
        builtinOperatorValues[builtinCode as keyof typeof builtinOperatorValues] ?? Number(builtinCode.slice(1));
      const expected = Math.min(code, PLACEHOLDER);
      if (deprecatedBuiltinCode === expected) continue;
      const problem = `${builtinCode} has ${deprecatedBuiltinCode} in the old field, must be ${expected}`;
      // Writers from before 2020 filled in the old field only.
      const severity = code === 0 && deprecatedBuiltinCode > 0 ? 'warning' : 'error';
      yield { severity, where: `operator code ${i}`, problem };
    }
  },
};
