/** The months that a command is for: those that it names, in the order of time, or all that the source has. */
export type MonthSelection = "all" | readonly string[];

/** Every month from one to another, both included, as `toYYYYMM` writes them. */
export function monthsBetween(first: string, last: string): string[] {
  const months: string[] = [];
  for (let index = indexOf(first); index <= indexOf(last); index++) {
    const [year, month] = [Math.floor(index / 12), (index % 12) + 1];
    months.push(`${String(year).padStart(4, "0")}${String(month).padStart(2, "0")}`);
  }
  return months;
}

/** Months since the year 0. */
function indexOf(month: string): number {
  return Number(month.slice(0, 4)) * 12 + Number(month.slice(4)) - 1;
}
