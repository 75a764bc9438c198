import type { SettingsOfUser } from "./server-settings.ts";

/**
 * How the server's JSON parser must be set for `JsonColumn` to give values the paths and types that the parser would give
 * them. Inserts set it to the server's own defaults; a server without such a setting does as later defaults say.
 */
const EXPECTED: Readonly<Record<string, string>> = {
  allow_simdjson: "1",
  json_type_escape_dots_in_keys: "0",
  type_json_allow_duplicated_key_with_literal_and_nested_object: "1",
  input_format_json_try_infer_numbers_from_strings: "0",
  input_format_json_infer_incomplete_types_as_strings: "1",
  input_format_json_infer_array_of_dynamic_from_array_of_different_types: "1",
  schema_inference_make_columns_nullable: "3",
  max_dynamic_subcolumns_in_json_type_parsing: "auto",
};

/** Whether the server's own JSON parser works as `JsonColumn` expects it. */
export function parsesJsonByDefault({ settings }: Pick<SettingsOfUser, "settings">): boolean {
  return Object.entries(EXPECTED).every(([name, value]) => {
    const found = settings.get(name);
    return found === undefined || found.default === value;
  });
}
