/**
 * Whether valid JSON is within the limits of what is embedded: at most 512 levels of nesting, at most 8 arrays directly
 * within each other, and no array that holds both a null and an array. Reads brackets only; valid JSON is taken for granted.
 */
export function isWithinLimits(json: string): boolean {
  const tokens = json.replace(/"(?:[^"\\]|\\.)*"/gs, "s").match(/[[\]{}]|null/g) ?? [];
  const open: { chain: number; holdsNull: boolean; holdsArray: boolean }[] = [];
  let isWithin = true;
  for (const token of tokens) {
    if (token === "]" || token === "}") {
      open.pop();
      continue;
    }
    const around = open.at(-1);
    if (around !== undefined && token === "null") around.holdsNull = true;
    if (around !== undefined && token === "[") around.holdsArray = true;
    if (around !== undefined && around.chain > 0 && around.holdsNull && around.holdsArray) isWithin = false;
    if (token === "null") continue;
    const chain = token === "{" ? 0 : (around?.chain ?? 0) + 1;
    open.push({ chain, holdsNull: false, holdsArray: false });
    if (open.length > 512 || chain > 8) isWithin = false;
  }
  return isWithin;
}
