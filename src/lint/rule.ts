/** What a rule has against a file. */
export interface Finding {
  /** `error`: a runtime refuses the file or computes something else. `warning`: it works, but slower or not everywhere. */
  readonly severity: 'error' | 'warning';
  /** The tensor, operator or other part by the name that the file gives it. */
  readonly where: string;
  readonly problem: string;
}

export interface Rule<Model> {
  /** Kebab-case: reports and hints. */
  readonly name: string;
  /** One line: what must hold, and what happens otherwise. */
  readonly summary: string;
  check(model: Model): Iterable<Finding>;
}

export interface RuleFinding extends Finding {
  readonly rule: string;
}

/** The findings of all rules, errors first. */
export function lint<Model>(rules: readonly Rule<Model>[], model: Model): RuleFinding[] {
  const findings = rules.flatMap((rule) =>
    Array.from(rule.check(model), (finding) => ({ rule: rule.name, ...finding })),
  );
  const errors = findings.filter(({ severity }) => severity === 'error');
  return [...errors, ...findings.filter(({ severity }) => severity === 'warning')];
}
