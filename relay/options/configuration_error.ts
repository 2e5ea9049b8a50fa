/** Settings that the relay cannot start with. */
export class ConfigurationError extends Error {
  /** What happened, for programs. */
  readonly code = "invalid_configuration";
  /** Each names a setting, where it comes from, what came and what is wanted. */
  readonly problems: readonly string[];

  /** Takes all that is wrong. */
  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join("\n"), options);
    this.name = "ConfigurationError";
    this.problems = problems;
  }
}
