import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

/** A fenced block of a document. */
export interface Block {
  /** The document, relative to the repository. */
  readonly document: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** The nearest heading above, without its marks. */
  readonly heading: string;
  readonly language: string;
  readonly text: string;
  /** The HTML comment on the line directly above, without its marks; null where none is. */
  readonly comment: string | null;
}

/** README.md, CONTRIBUTING.md and everything in docs, relative to the repository. */
export function documents(): string[] {
  return ["README.md", "CONTRIBUTING.md", ...[...new Bun.Glob("docs/*.md").scanSync({ cwd: ROOT })].sort()];
}

/** The fenced blocks of a document. Throws for a fence that nothing closes. */
export function blocksOf(document: string): Block[] {
  const lines = readFileSync(join(ROOT, document), "utf8").split("\n");
  const blocks: Block[] = [];
  let heading = "";
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
    const fence = /^```(\w*)\s*$/.exec(line);
    if (fence === null) continue;
    const end = lines.indexOf("```", at + 1);
    if (end === -1) throw new Error(`${document}:${at + 1}: nothing closes this block`);
    blocks.push({
      document,
      line: at + 1,
      heading,
      language: fence[1] ?? "",
      text: lines.slice(at + 1, end).join("\n"),
      comment: /^<!-- (.*) -->$/.exec(lines[at - 1] ?? "")?.[1] ?? null,
    });
    at = end;
  }
  return blocks;
}
