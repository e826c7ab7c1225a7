export type Severity = 'error' | 'warning';

/** Something a parser or analyser noticed, before it is known when and where. */
export type Problem = { check: string; severity: Severity; message: string };

/** A problem with its place in the watched stream; `at` is the injected clock in milliseconds. */
export type Finding = Problem & { at: number; subject: string };

/** Collects problems and folds repetitions: sixty access units without AUD are one line, not sixty. */
export class ProblemList {
  readonly #entries = new Map<string, { problem: Problem; count: number }>();

  error(check: string, message: string, kind = message): void {
    this.#add({ check, severity: 'error', message }, kind);
  }

  warning(check: string, message: string, kind = message): void {
    this.#add({ check, severity: 'warning', message }, kind);
  }

  get all(): Problem[] {
    return [...this.#entries.values()].map(({ problem, count }) =>
      count === 1 ? problem : { ...problem, message: `${problem.message} (${count} times)` },
    );
  }

  #add(problem: Problem, kind: string): void {
    const key = `${problem.check} ${problem.severity} ${kind}`;
    const entry = this.#entries.get(key);
    if (entry) entry.count += 1;
    else this.#entries.set(key, { problem, count: 1 });
  }
}

export function formatFinding(finding: Finding): string {
  const time = new Date(finding.at).toISOString();
  return `${time} ${finding.severity.toUpperCase()} ${finding.check} ${finding.subject}: ${finding.message}`;
}

export function formatFindings(findings: readonly Finding[]): string {
  return findings.map(formatFinding).join('\n');
}
