import { lintFile } from '../../lint/lint-file.ts';
import type { RuleFinding } from '../../lint/rule.ts';
import type { QuantizedFile } from './types.ts';

/**
 * Runs the lint rules on a written file: what they warn of joins its warnings, what they call an error its failures.
 */
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

/**
 * Keeps the first finding of each rule, with the number of further ones: what is wrong with one linear is wrong with
 * all of its form.
 */
function onePerRule(findings: readonly RuleFinding[]): (RuleFinding & { readonly more: number })[] {
  const firsts = findings.filter(({ rule }, i) => findings.findIndex((other) => other.rule === rule) === i);
  return firsts.map((first) => ({ ...first, more: findings.filter(({ rule }) => rule === first.rule).length - 1 }));
}
