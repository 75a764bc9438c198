/** Counts of what happened, by section and name. */
export class Tally {
  readonly #sections = new Map<string, Map<string, number>>();

  add(section: string, name: string, count = 1): void {
    const names = this.#sections.get(section) ?? new Map<string, number>();
    this.#sections.set(section, names);
    names.set(name, (names.get(name) ?? 0) + count);
  }

  get(section: string, name: string): number {
    return this.#sections.get(section)?.get(name) ?? 0;
  }

  sum(section: string): number {
    return [...(this.#sections.get(section)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  }

  merge(other: Tally): void {
    for (const [section, names] of other.#sections) {
      for (const [name, count] of names) this.add(section, name, count);
    }
  }

  /** A section's sum, and below it a line for each name, the most frequent first. */
  render(section: string): string[] {
    const names = [...(this.#sections.get(section) ?? [])].sort((a, b) => b[1] - a[1]);
    return [
      `${section}: ${this.sum(section)}`,
      ...names.map(([name, count]) => `  ${String(count).padStart(6)}  ${name}`),
    ];
  }
}
