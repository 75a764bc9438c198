/**
 * Whether the JSON object `text`, stored under `key`, would have a path that the member `key.rest` has too. A JSON column
 * stores paths: `{"a.b": 1, "a": {"b": 2}}` has `a.b` twice, and the second is dropped. Paths lead to scalars and arrays;
 * objects and nulls have none of their own.
 */
export function clashesWith(text: string, rest: string): boolean {
  return hasPath(JSON.parse(text), null, rest);
}

/** `path` leads to `value`; null at the top. Names may be empty, so an empty path is a path. */
function hasPath(value: unknown, path: string | null, rest: string): boolean {
  if (value === null || value === undefined) return false;
  if (typeof value !== "object" || Array.isArray(value)) {
    return path !== null && (path === rest || path.startsWith(`${rest}.`));
  }
  return Object.entries(value).some(([name, inner]) =>
    hasPath(inner, path === null ? name : `${path}.${name}`, rest),
  );
}
