/** C1 controls, which terminals obey as they do escape sequences, and what breaks a line or turns the writing direction. */
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text of unknown origin as a message shows it: one line in quotes that leaves the terminal alone. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(UNSAFE, escaped);
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
