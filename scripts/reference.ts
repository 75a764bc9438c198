/**
 * Writes docs/reference.md from the definitions of commands and options.
 *
 * Usage:   bun run reference
 * Output:  docs/reference.md
 */
import { join } from "node:path";
import { renderReference } from "./reference/render.ts";

await Bun.write(join(import.meta.dir, "../docs/reference.md"), renderReference());
