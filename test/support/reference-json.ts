/** Deeper values are embedded as strings: parsers differ in how deep they go. */
const MAX_DEPTH = 512;
/** So are arrays directly in more arrays than this, for which the server's type inference takes exponential time. */
const MAX_ARRAYS_IN_ARRAYS = 8;

/** What a container holds, in its byte on the stack of `arraysAreKept`; the lower bits count the arrays that it ends. */
const ARRAYS_MASK = 15;
const HOLDS_NULL = 16;
const HOLDS_ARRAY = 32;

/**
 * The SQL of the JSON object that holds merged metadata, given as two expressions of arrays. The first entry of a key
 * counts; a value is embedded as it is where a JSON column takes and keeps it there, as a JSON string elsewhere.
 */
export function metadataJson(names: string, values: string): string {
  const entries = `arrayMap((name, value) -> (name, value), ${names}, ${values})`;
  const isFirst = `arrayMap((name, at) -> indexOf(${names}, name) = at, ${names}, arrayEnumerate(${names}))`;
  const member = `concat(toJSONString(toValidUTF8(entry.1)), ':',
    if(${isEmbeddable("entry.2")} AND NOT (${clashes("entry.1", "entry.2", names)}),
      entry.2, toJSONString(toValidUTF8(entry.2))))`;
  const members = `arrayMap(entry -> ${member}, arrayFilter((entry, first) -> first, ${entries}, ${isFirst}))`;
  return `concat('{', arrayStringConcat(${members}, ','), '}')`;
}

/** Whether a JSON column takes the value as a member. A BOM before valid JSON is taken only where no object is around it. */
function isEmbeddable(value: string): string {
  return `(isValidJSON(${value}) AND NOT startsWith(${value}, unhex('EFBBBF'))
    AND ${depth(value)} <= ${MAX_DEPTH} AND ${arraysAreKept(value)})`;
}

/** What opens and closes, and nulls, outside of strings. */
function tokens(value: string): string {
  const withoutStrings = `replaceRegexpAll(${value}, '"([^"\\\\\\\\]|\\\\\\\\.)*"', '')`;
  return `extractAll(${withoutStrings}, '[\\\\[\\\\]{}]|null')`;
}

/** How many brackets and braces are open at once. */
function depth(value: string): string {
  const steps = `arrayMap(token -> multiIf(token IN ('[', '{'), 1, token = 'null', 0, -1), ${tokens(value)})`;
  // One element at least: there is no maximum of none.
  return `arrayMax(arrayCumSum(arrayConcat([0], ${steps})))`;
}

/** Whether no array lies in too many others, and none holds both a null and an array: there, null would become []. */
function arraysAreKept(value: string): string {
  const isArray = `bitAnd(acc.2[-1], ${ARRAYS_MASK}) > 0`;
  const noted = (bit: number): string =>
    `arrayPushBack(arrayPopBack(acc.2), if(${isArray}, bitOr(acc.2[-1], ${bit}), acc.2[-1]))`;
  const step = `multiIf(
    token = 'null', (acc.1, ${noted(HOLDS_NULL)}),
    token = '[', (acc.1 OR bitAnd(acc.2[-1], ${ARRAYS_MASK}) >= ${MAX_ARRAYS_IN_ARRAYS},
      arrayPushBack(${noted(HOLDS_ARRAY)}, toUInt8(bitAnd(acc.2[-1], ${ARRAYS_MASK}) + 1))),
    token = '{', (acc.1, arrayPushBack(acc.2, toUInt8(0))),
    (acc.1 OR bitAnd(acc.2[-1], ${HOLDS_NULL | HOLDS_ARRAY}) = ${HOLDS_NULL | HOLDS_ARRAY}, arrayPopBack(acc.2)))`;
  // Each step copies the stack: what is too deep anyway is spared.
  const bounded = `if(position(${value}, '[') = 0 OR ${depth(value)} > ${MAX_DEPTH}, [], ${tokens(value)})`;
  return `NOT (arrayFold((acc, token) -> ${step}, ${bounded}, (false, [toUInt8(0)])).1)`;
}

/**
 * Whether an object has a path at or below which another entry stands: `a: {"b": 1}` beside the key `a.b`. The column
 * would keep one of the two only.
 */
function clashes(name: string, value: string, names: string): string {
  const isObject = `${isEmbeddable(value)} AND startsWith(trimLeft(${value}, ' \\t\\r\\n'), '{')`;
  const others = `arrayMap(other -> substring(other, length(${name}) + 2),
    arrayFilter(other -> startsWith(other, concat(${name}, '.')), ${names}))`;
  return `notEmpty(${others}) AND arrayExists(
    path -> arrayExists(rest -> path = rest OR startsWith(path, concat(rest, '.')), ${others}),
    JSONAllPaths(CAST(if(${isObject}, ${value}, '{}') AS JSON)))`;
}
