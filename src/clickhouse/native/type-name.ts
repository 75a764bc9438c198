/** A ClickHouse type name taken apart: `Map(LowCardinality(String), UInt64)` is `Map` with two type arguments. */
export interface TypeName {
  readonly name: string;
  readonly args: readonly (TypeName | TypeLiteral)[];
}

/** An argument that is no type: a number, a quoted string, or an enum's `'name' = 1`; kept as it is written. */
export interface TypeLiteral {
  readonly literal: string;
}

/** Whether a type argument is itself a type. */
export function isTypeName(arg: TypeName | TypeLiteral | undefined): arg is TypeName {
  return arg !== undefined && "name" in arg;
}

/**
 * Parses a type name as `DESCRIBE TABLE` and the header of a Native block write it.
 * Throws a SyntaxError that names the text and the position when it is not well formed.
 */
export function parseTypeName(text: string): TypeName {
  const parser = new TypeNameParser(text);
  const type = parser.type();
  parser.end();
  return type;
}

/** The type within `Nullable(…)` or `LowCardinality(…)`, or the type itself. */
export function unwrap(type: TypeName, wrapper: "Nullable" | "LowCardinality"): TypeName {
  const inner = type.args[0];
  return type.name === wrapper && isTypeName(inner) ? inner : type;
}

class TypeNameParser {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  type(): TypeName {
    const name = this.#match(/[A-Za-z_][A-Za-z0-9_]*/y) ?? this.#fail("a type");
    const args: (TypeName | TypeLiteral)[] = [];
    if (this.#match(/\s*\(\s*/y) === undefined) return { name, args };
    if (this.#match(/\)/y) !== undefined) return { name, args };
    do args.push(this.#argument());
    while (this.#match(/\s*,\s*/y) !== undefined);
    if (this.#match(/\s*\)/y) === undefined) this.#fail("',' or ')'");
    return { name, args };
  }

  end(): void {
    if (this.#position < this.#text.length) this.#fail("the end");
  }

  #argument(): TypeName | TypeLiteral {
    const literal = this.#match(/-?\d+|'(?:[^'\\]|\\.|'')*'(?:\s*=\s*-?\d+)?/sy);
    if (literal !== undefined) return { literal };
    const start = this.#position;
    const type = this.#match(/(?=[A-Za-z_])/y) === undefined ? undefined : this.type();
    // JSON(max_dynamic_paths=8, SKIP a.b, `a.b` String) and named tuple elements: what follows the first word distinguishes them.
    if (!this.#skipFreeText()) return type ?? this.#fail("a type");
    return { literal: this.#text.slice(start, this.#position) };
  }

  /** Passes text up to the ',' or ')' that ends an argument; returns whether there was any. */
  #skipFreeText(): boolean {
    const start = this.#position;
    while (
      this.#match(/(?:[^,()'`]|'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`)+/sy) !== undefined ||
      this.#skipBrackets()
    );
    return this.#position > start;
  }

  #skipBrackets(): boolean {
    if (this.#match(/\(/y) === undefined) return false;
    do this.#skipFreeText();
    while (this.#match(/,/y) !== undefined);
    if (this.#match(/\)/y) === undefined) this.#fail("')'");
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#position += found.length;
    return found;
  }

  #fail(expected: string): never {
    throw new SyntaxError(
      `Type name ${JSON.stringify(this.#text)}: expected ${expected} at position ${this.#position}`,
    );
  }
}
