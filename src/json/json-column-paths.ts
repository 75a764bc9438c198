import { ByteWriter } from "../bytes/byte-writer.ts";
import { JsonColumnPath } from "./json-column-path.ts";
import { needsEscape } from "./json-string.ts";
import { utf8SequenceBytes } from "./utf8.ts";

const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;
const QUOTE = 0x22;
const DOT = Buffer.from(".");
/** Members beyond this many are not entered; far more than a JSON column keeps apart. */
const MAX_MEMBERS = 4096;
const SLOTS = MAX_MEMBERS * 2;

/** The parent of a member of the top-level object. */
export const TOP = -1;

/**
 * The members that objects were seen to have, numbered by parent and key, and the path of each. Members may share a path:
 * `b` of `a` and the top-level `a.b` do. What was seen is kept for the next batches, which are likely to have the same.
 */
export class JsonColumnPaths {
  /** Open addressing: member + 1 by hash. */
  readonly #slots = new Int32Array(SLOTS);
  #count = 0;
  readonly #parents = new Int32Array(MAX_MEMBERS);
  readonly #keyStart = new Int32Array(MAX_MEMBERS);
  readonly #keyEnd = new Int32Array(MAX_MEMBERS);
  readonly #keys = new ByteWriter(4096);
  readonly #byMember: JsonColumnPath[] = [];
  /** Of each member the one that was first among its own members, and the one that followed it; + 1. */
  readonly #first = new Int32Array(MAX_MEMBERS);
  readonly #next = new Int32Array(MAX_MEMBERS);
  /** Whether the key stands in JSON as it is. */
  readonly #isVerbatim = new Uint8Array(MAX_MEMBERS);
  readonly #isPlain = new Uint8Array(MAX_MEMBERS);
  /** Of top-level members with dots in their keys: the members that the parts before the dots name. */
  readonly #prefixes: (readonly number[] | undefined)[] = [];
  readonly #byPath = new Map<string, JsonColumnPath>();
  /** The paths that have values, in the order of their first ones: the server's parser meets them in that order too. */
  readonly inUse: JsonColumnPath[] = [];

  /** Empties the paths of values, and forgets them when they have become many. Numbers handed out are void. */
  reset(): void {
    for (const path of this.inUse) path.reset();
    this.inUse.length = 0;
    if (this.#count > MAX_MEMBERS / 2) {
      this.#slots.fill(0);
      this.#count = 0;
      this.#keys.reset();
      this.#byMember.length = 0;
      this.#prefixes.length = 0;
      this.#byPath.clear();
    }
  }

  /**
   * Where the quote after the key of the member that usually follows member `previous` of `parent` (-1: comes first) stands,
   * if that is the key of the JSON member whose opening quote precedes `start`; else -1. Cheaper than to find the key.
   */
  usualKeyEnd(parent: number, previous: number, bytes: Buffer, start: number): number {
    const usual = this.usual(parent, previous);
    if (usual < 0 || this.#isVerbatim[usual] === 0) return -1;
    const own = this.#keyStart[usual] as number;
    const end = start + (this.#keyEnd[usual] as number) - own;
    return bytes[end] === QUOTE && this.#hasKey(usual, bytes, start, end) ? end : -1;
  }

  /** The member that usually follows member `previous` of `parent` (-1: comes first), or -1. */
  usual(parent: number, previous: number): number {
    return ((previous < 0 ? this.#first[parent] : this.#next[previous]) as number) - 1;
  }

  /** Notes that this member follows member `previous` of `parent` (-1: comes first). */
  noteUsual(parent: number, previous: number, member: number): void {
    if (previous < 0) this.#first[parent] = member + 1;
    else this.#next[previous] = member + 1;
  }

  /** The number of the member with this key in the object that `parent` holds; -1 when there are too many. */
  member(parent: number, bytes: Buffer, start: number, end: number): number {
    let slot = hash(parent, bytes, start, end);
    for (; ; slot++) {
      const member = (this.#slots[slot & (SLOTS - 1)] as number) - 1;
      if (member < 0) break;
      if (this.#parents[member] === parent && this.#hasKey(member, bytes, start, end)) return member;
    }
    if (this.#count === MAX_MEMBERS) return -1;
    return this.#enter(slot & (SLOTS - 1), parent, bytes, start, end);
  }

  pathOf(member: number): JsonColumnPath {
    return this.#byMember[member] as JsonColumnPath;
  }

  /** Whether the key is not empty and valid UTF-8. */
  isPlain(member: number): boolean {
    return this.#isPlain[member] === 1;
  }

  /** The members that the parts before the dots of a top-level key name; undefined for a key without dots. */
  prefixesOf(member: number): readonly number[] | undefined {
    return this.#prefixes[member];
  }

  #hasKey(member: number, bytes: Buffer, start: number, end: number): boolean {
    let own = this.#keyStart[member] as number;
    if ((this.#keyEnd[member] as number) - own !== end - start) return false;
    const keys = this.#keys.bytes;
    for (let at = start; at < end; at++, own++) {
      if (bytes[at] !== keys[own]) return false;
    }
    return true;
  }

  #enter(slot: number, parent: number, bytes: Buffer, start: number, end: number): number {
    const member = this.#count++;
    this.#slots[slot] = member + 1;
    this.#parents[member] = parent;
    this.#keyStart[member] = this.#keys.length;
    this.#keys.copy(bytes, start, end);
    this.#keyEnd[member] = this.#keys.length;
    this.#first[member] = 0;
    this.#next[member] = 0;
    this.#isVerbatim[member] = needsEscape(bytes, start, end) ? 0 : 1;
    this.#isPlain[member] = end > start && isUtf8(bytes, start, end) ? 1 : 0;
    const key = Buffer.from(bytes.subarray(start, end));
    const path = parent === TOP ? key : Buffer.concat([this.pathOf(parent).path, DOT, key]);
    const name = path.toString("latin1");
    const known = this.#byPath.get(name) ?? new JsonColumnPath(path, this.inUse);
    this.#byPath.set(name, known);
    this.#byMember[member] = known;
    if (parent === TOP) this.#prefixes[member] = this.#enterPrefixes(key);
    return member;
  }

  #enterPrefixes(key: Buffer): readonly number[] | undefined {
    let prefixes: number[] | undefined;
    for (let dot = key.indexOf(DOT); dot >= 0; dot = key.indexOf(DOT, dot + 1)) {
      prefixes ??= [];
      prefixes.push(this.member(TOP, key, 0, dot));
    }
    return prefixes;
  }
}

/** Whether all of the bytes are valid UTF-8. */
export function isUtf8(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const length = (bytes[at] as number) < 0x80 ? 1 : utf8SequenceBytes(bytes, at, end);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) of the key, begun with the parent. */
function hash(parent: number, bytes: Buffer, start: number, end: number): number {
  let value = Math.imul(FNV_OFFSET ^ parent, FNV_PRIME);
  for (let at = start; at < end; at++) value = Math.imul(value ^ (bytes[at] as number), FNV_PRIME);
  return (value ^ (value >>> 15)) & (SLOTS - 1);
}
