import { lintFile } from '../../lint/lint-file.ts';
import type { RuleFinding } from '../../lint/rule.ts';
import type { QuantizedFile } from './types.ts';

/** Asks the lint rules of a written file; what they find joins its warnings, an error makes the answer no. */
export function withLint(result: QuantizedFile): QuantizedFile {
  const [file] = result.files;
  if (file === undefined) return result;
  const { findings } = lintFile(file.path);
  const worded = (severity: 'error' | 'warning') =>
    onePerRule(findings.filter((finding) => finding.severity === severity)).map(
      ({ rule, where, problem, more }) =>
        `${file.path}: ${where}: ${problem} (${rule}${more > 0 ? `, and ${more} more` : ''})`,
    );
  return {
    ...result,
    warnings: [...result.warnings, ...worded('warning')],
    failures: [...result.failures, ...worded('error')],
  };
}

/** A form that one linear has, all linears have: the first of them is told, and how many more there are. */
function onePerRule(findings: readonly RuleFinding[]): (RuleFinding & { readonly more: number })[] {
  const firsts = findings.filter(({ rule }, i) => findings.findIndex((other) => other.rule === rule) === i);
  return firsts.map((first) => ({ ...first, more: findings.filter(({ rule }) => rule === first.rule).length - 1 }));
}
