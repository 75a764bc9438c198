/** What an entry says besides its message, for programs; `event` names its kind. The text format leaves it out. */
export interface EntryFields {
  readonly event: string;
  readonly [name: string]: unknown;
}

/** A line of the JSON format: time, level, event and message come first, by names that are documented and stay as they are. */
export function jsonEntry(
  now: Date,
  level: string,
  message: string,
  { event, ...fields }: EntryFields,
): string {
  return JSON.stringify({ time: now.toISOString(), level, event, message, ...fields });
}
