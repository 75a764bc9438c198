/**
 * What a JSON column keeps of a JSON object: paths of member names with the scalars and arrays they lead to, as text that
 * compares. Nulls and empty objects have no path.
 *
 * Nulls and empty objects within an array are written as `[]`: what the engine (26.7) stores for a null there depends on
 * the other rows of the block.
 */
export function storedPaths(json: string): string {
  return paths(new Parser(json).value());
}

/** Whether a name or a path comes twice in an object of the text: which of them counts is the column's to say. */
export function repeatsPaths(json: string): boolean {
  return repeats(new Parser(json).value());
}

type Members = readonly (readonly [name: string, value: Json])[];
type Json =
  | { readonly members: Members }
  | { readonly elements: readonly Json[] }
  | { readonly scalar: string | number | boolean | null };

function repeats(value: Json): boolean {
  if ("elements" in value) return value.elements.some(repeats);
  if (!("members" in value)) return false;
  const names = new Set(value.members.map(([name]) => name));
  if (names.size < value.members.length || value.members.some(([, inner]) => repeats(inner))) return true;
  const all = allPaths(value.members);
  return new Set(all.map(([path]) => path)).size < all.length;
}

function paths(value: Json): string {
  if ("scalar" in value) return JSON.stringify(Object.is(value.scalar, -0) ? 0 : value.scalar);
  if ("elements" in value) {
    const elements = value.elements
      .map(paths)
      .map((text) => (text === "null" || text === "{}" ? "[]" : text));
    return `[${elements.join()}]`;
  }
  const kept = allPaths(value.members).filter(([, leaf]) => !isNull(leaf) && !("members" in leaf));
  const sorted = kept.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([path, leaf]) => `${JSON.stringify(path)}:${paths(leaf)}`).join()}}`;
}

/** The paths to all that is no object, and to empty objects. */
function allPaths(members: Members, prefix = ""): [path: string, leaf: Json][] {
  return members.flatMap(([name, value]): [string, Json][] =>
    "members" in value && value.members.length > 0
      ? allPaths(value.members, `${prefix}${name}.`)
      : [[prefix + name, value]],
  );
}

function isNull(value: Json): boolean {
  return "scalar" in value && value.scalar === null;
}

/** Keeps repeated names, in order. For valid JSON. */
class Parser {
  readonly #tokens: readonly string[];
  #next = 0;

  constructor(json: string) {
    this.#tokens = json.match(/"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s[\]{}:,"]+/gs) ?? [];
  }

  value(): Json {
    const token = this.#take();
    if (token === "{") {
      const members = this.#list("}", () => {
        const name = String(JSON.parse(this.#take()));
        this.#take();
        return [name, this.value()] as const;
      });
      return { members };
    }
    if (token === "[") return { elements: this.#list("]", () => this.value()) };
    return { scalar: JSON.parse(token) as string | number | boolean | null };
  }

  #list<Item>(close: string, item: () => Item): Item[] {
    const items: Item[] = [];
    while (this.#tokens[this.#next] !== close) {
      items.push(item());
      if (this.#tokens[this.#next] === ",") this.#next++;
    }
    this.#next++;
    return items;
  }

  #take(): string {
    const token = this.#tokens[this.#next++];
    if (token === undefined) throw new SyntaxError("The JSON ends early");
    return token;
  }
}
