import { ByteWriter } from "../bytes/byte-writer.ts";
import { embedOf, needsEscape } from "./json-string.ts";
import type { KeptJson } from "./kept-json.ts";
import { JsonObjectBuilder } from "./object-builder.ts";

/** The JSON object of these members as a run writes it; no name may be there twice. It is valid UTF-8. */
export function objectText(names: readonly Buffer[], values: readonly Buffer[], kept: KeptJson): Buffer {
  const members = new JsonObjectBuilder();
  names.forEach((name, i) => {
    const value = values[i] ?? Buffer.alloc(0);
    const embed = embedOf(value, 0, value.length, kept);
    members.add(name, 0, name.length, needsEscape(name, 0, name.length), value, 0, value.length, embed);
  });
  const out = new ByteWriter();
  members.write(out);
  return Buffer.from(out.written());
}
