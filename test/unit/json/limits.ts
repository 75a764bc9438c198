/**
 * Whether valid JSON is within the limits of what is embedded: at most 512 levels of nesting, at most 8 arrays directly
 * within each other, no array that holds both a null and an array, no integer beyond 64 bits, and none beyond 2^53 as an
 * element of an array. Valid JSON is taken for granted.
 */
export function isWithinLimits(json: string): boolean {
  const withoutStrings = json.replace(/"(?:[^"\\]|\\.)*"/gs, "s");
  if (!integersAreWithin(withoutStrings)) return false;
  const tokens = withoutStrings.match(/[[\]{}]|null/g) ?? [];
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

/** Members' names stand as `s:`, so that what follows a comma or a bracket is an element of an array. */
function integersAreWithin(withoutStrings: string): boolean {
  const numbers = withoutStrings.matchAll(/([[,]\s*)?(-?\d[\d.eE+-]*)/g);
  return [...numbers].every(([, element, number = ""]) => {
    if (!/^-?\d+$/.test(number)) return true;
    const value = BigInt(number);
    const [least, greatest] =
      element === undefined ? [-(2n ** 63n), 2n ** 64n - 1n] : [-(2n ** 53n), 2n ** 53n];
    return value >= least && value <= greatest;
  });
}
