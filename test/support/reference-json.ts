/** Deeper values are embedded as strings: parsers differ in how deep they go. */
const MAX_DEPTH = 512;
/** So are arrays directly in more arrays than this, for which the server's type inference takes exponential time. */
const MAX_ARRAYS_IN_ARRAYS = 8;

/** What a container holds, in its byte on the stack of `arraysAreKept`; the lower bits count the arrays that it ends. */
const ARRAYS_MASK = 15;
const HOLDS_NULL = 16;
const HOLDS_ARRAY = 32;

/** What the JSON column of a server keeps; found by trying, and written down here apart from the program's own trying. */
export interface ReferenceKept {
  /** Arrays with strings and numbers. */
  readonly mixedArrays: boolean;
  /** Integers beyond 2^53, outside of arrays and as their elements. */
  readonly largeIntegers: boolean;
  readonly largeIntegersInArrays: boolean;
}

/** What a target of text keeps. */
export const KEPT_AS_TEXT: ReferenceKept = {
  mixedArrays: true,
  largeIntegers: true,
  largeIntegersInArrays: true,
};

/** What a column of that JSON type keeps in a version, given as `major.minor…`. */
export function keptByVersion(version: string, type: string): ReferenceKept {
  return {
    mixedArrays: isSince(version, [25, 8]),
    largeIntegers: isSince(version, [26, 3]) && !type.includes("max_dynamic_types"),
    largeIntegersInArrays: false,
  };
}

/** Whether a String that is cast to JSON is read under the settings of the query, as data that is inserted is. */
export function castsUnderSettings(version: string): boolean {
  return isSince(version, [26, 3]);
}

function isSince(version: string, [sinceMajor, sinceMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

/**
 * The SQL of the JSON object that holds merged metadata, given as two expressions of arrays. The first entry of a key
 * counts; a value is embedded as it is where a JSON column takes and keeps it there, as a JSON string elsewhere.
 */
export function metadataJson(names: string, values: string, kept: ReferenceKept): string {
  const entries = `arrayMap((name, value) -> (name, value), ${names}, ${values})`;
  const isFirst = `arrayMap((name, at) -> indexOf(${names}, name) = at, ${names}, arrayEnumerate(${names}))`;
  const member = `concat(toJSONString(toValidUTF8(entry.1)), ':',
    if(${isEmbeddable("entry.2", kept)} AND NOT (${clashes("entry.1", "entry.2", names, kept)}),
      entry.2, toJSONString(toValidUTF8(entry.2))))`;
  const members = `arrayMap(entry -> ${member}, arrayFilter((entry, first) -> first, ${entries}, ${isFirst}))`;
  return `concat('{', arrayStringConcat(${members}, ','), '}')`;
}

/** Whether a JSON column takes the value as a member. A BOM before valid JSON is taken only where no object is around it. */
function isEmbeddable(value: string, kept: ReferenceKept): string {
  const conditions = [
    `isValidJSON(${value})`,
    `NOT startsWith(${value}, unhex('EFBBBF'))`,
    `${depth(value)} <= ${MAX_DEPTH}`,
    arraysAreKept(value),
    // From 26.9 on isValidJSON takes them.
    `NOT ${hasInteger(value, "", "-9223372036854775808", "18446744073709551615")}`,
  ];
  if (!kept.largeIntegersInArrays) conditions.push(`NOT ${hasInteger(value, "[\\\\[,]\\\\s*", ...EXACT)}`);
  if (!kept.largeIntegers) conditions.push(`NOT ${hasInteger(value, "", ...EXACT)}`);
  if (!kept.mixedArrays) conditions.push(`NOT ${hasMixedArray(value)}`);
  return `(${conditions.join(" AND ")})`;
}

/** The integers that a double holds for sure. */
const EXACT = ["-9007199254740992", "9007199254740992"] as const;

const STRING = '"([^"\\\\\\\\]|\\\\\\\\.)*"';
const NUMBER = "-?[0-9][0-9.eE+-]*";

function withoutStrings(value: string): string {
  return `replaceRegexpAll(${value}, '${STRING}', '')`;
}

/** What opens and closes, and nulls, outside of strings. */
function tokens(value: string): string {
  return `extractAll(${withoutStrings(value)}, '[\\\\[\\\\]{}]|null')`;
}

/** Whether an integer that follows what the pattern says is not within the limits. Names of members are gone by then. */
function hasInteger(value: string, after: string, least: string, greatest: string): string {
  const numbers = `arrayMap(found -> extract(found, '-?[0-9].*'), extractAll(${withoutStrings(value)}, '${after}${NUMBER}'))`;
  const number = "toInt128OrZero(number)";
  return `arrayExists(number -> match(number, '^-?[0-9]+$') AND (length(number) > 20
    OR ${number} > toInt128('${greatest}') OR ${number} < toInt128('${least}')), ${numbers})`;
}

/** Whether an array holds an array, or several of strings, numbers, booleans and objects. */
function hasMixedArray(value: string): string {
  const withoutNames = `replaceRegexpAll(${value}, '${STRING}\\\\s*:', ':')`;
  const found = `extractAll(replaceRegexpAll(${withoutNames}, '${STRING}', '"'), '[\\\\[\\\\]{}"]|true|false|${NUMBER}')`;
  const [isArray, string, number, boolean, object, array] = [1, 2, 4, 8, 16, 32];
  const top = "acc.2[-1]";
  const isInArray = `bitAnd(${top}, ${isArray}) > 0`;
  const kind = `toUInt8(multiIf(token = '"', ${string}, token = '{', ${object}, token = '[', ${array},
    token IN ('true', 'false'), ${boolean}, ${number}))`;
  const noted = `if(${isInArray}, bitOr(${top}, ${kind}), ${top})`;
  const isBad = `(${isInArray} AND (token = '[' OR bitCount(bitOr(${top}, ${kind})) > 2))`;
  const stack = `arrayPushBack(arrayPopBack(acc.2), ${noted})`;
  const step = `multiIf(
    token IN (']', '}'), (acc.1, arrayPopBack(acc.2)),
    token = '[', (acc.1 OR ${isBad}, arrayPushBack(${stack}, toUInt8(${isArray}))),
    token = '{', (acc.1 OR ${isBad}, arrayPushBack(${stack}, toUInt8(0))),
    (acc.1 OR ${isBad}, ${stack}))`;
  const bounded = `if(position(${value}, '[') = 0 OR ${depth(value)} > ${MAX_DEPTH}, [], ${found})`;
  return `arrayFold((acc, token) -> ${step}, ${bounded}, (false, [toUInt8(0)])).1`;
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
function clashes(name: string, value: string, names: string, kept: ReferenceKept): string {
  const isObject = `${isEmbeddable(value, kept)} AND match(${value}, '^[ \\t\\r\\n]*\\\\{')`;
  const others = `arrayMap(other -> substring(other, length(${name}) + 2),
    arrayFilter(other -> startsWith(other, concat(${name}, '.')), ${names}))`;
  return `notEmpty(${others}) AND arrayExists(
    path -> arrayExists(rest -> path = rest OR startsWith(path, concat(rest, '.')), ${others}),
    ${paths(`if(${isObject}, ${value}, '{}')`)})`;
}

/** How deep paths are followed: those of the tests' dotted keys are shorter. */
const MAX_PATH = 8;

/** The paths of an object to what is neither null nor an empty object, in functions that every version has. */
function paths(object: string): string {
  const below = `arrayMap(member -> (if(level = 0, member.1, concat(entry.1, '.', member.1)), member.2),
    JSONExtractKeysAndValuesRaw(entry.2))`;
  const step = `arrayFlatten(arrayMap(entry -> if(startsWith(entry.2, '{'), ${below}, [entry]), acc))`;
  const start = `[('', trim(${object}))]`;
  return `arrayMap(entry -> entry.1, arrayFilter(entry -> entry.2 != 'null',
    arrayFold((acc, level) -> ${step}, range(${MAX_PATH}), ${start})))`;
}
