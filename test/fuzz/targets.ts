import { CHECKPOINT } from "./checkpoint.ts";
import { CONFIGURATION } from "./configuration.ts";
import { ENRICHMENT } from "./enrichment.ts";
import { JSON_OBJECTS } from "./json.ts";
import { NATIVE } from "./native.ts";
import { SQL } from "./sql.ts";
import type { FuzzTarget } from "./target.ts";

/** Every target; their shares add up to at least a million cases. */
export const TARGETS: readonly FuzzTarget[] = [
  NATIVE,
  ENRICHMENT,
  JSON_OBJECTS,
  CHECKPOINT,
  CONFIGURATION,
  SQL,
];
