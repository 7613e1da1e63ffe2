/** A fault that a rule finds in a file. */
export interface Finding {
  /**
   * The severity: `error` where a runtime refuses the file or computes something else, `warning` where it works, but
   * slower or not everywhere.
   */
  readonly severity: 'error' | 'warning';
  /** The tensor, operator or other part by the name that the file gives it. */
  readonly where: string;
  /** The end of a sentence that begins with `where`. */
  readonly problem: string;
}

/** A rule for written files of one format. */
export interface Rule<Model> {
  /** The name in reports and hints, in kebab-case. */
  readonly name: string;
  /** One line that says what must hold, and what happens otherwise. */
  readonly summary: string;
  check(model: Model): Iterable<Finding>;
}

export interface RuleFinding extends Finding {
  readonly rule: string;
}

/** Lists the findings of all rules, errors first. */
export function lint<Model>(rules: readonly Rule<Model>[], model: Model): RuleFinding[] {
  const findings = rules.flatMap((rule) =>
    Array.from(rule.check(model), (finding) => ({ rule: rule.name, ...finding })),
  );
  const errors = findings.filter(({ severity }) => severity === 'error');
  return [...errors, ...findings.filter(({ severity }) => severity === 'warning')];
}
