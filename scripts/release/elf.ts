/** What Linux and its loader look at before they start a 64-bit ELF file. */
export interface Elf {
  /** EM_X86_64 is 62, EM_AARCH64 183. */
  readonly machine: number;
  /** ET_EXEC is 2; ET_DYN, a position-independent executable, 3. */
  readonly type: number;
  /** The dynamic loader, such as /lib64/ld-linux-x86-64.so.2. */
  readonly interpreter: string | null;
  /** The shared libraries that the loader must find, such as libc.so.6, in the file's order. */
  readonly libraries: readonly string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly bytes: number;
}

/** Reads the header and the program headers; format: elf(5). Throws when it is no 64-bit little-endian ELF file. */
export function readElf(file: Buffer): Elf {
  const [magic, bits, order] = [file.toString("latin1", 0, 4), file[4], file[5]];
  if (magic !== "\x7fELF" || bits !== 2 || order !== 1)
    throw new Error("not a 64-bit little-endian ELF file");
  const headers = {
    at: Number(file.readBigUInt64LE(32)),
    bytes: file.readUInt16LE(54),
    count: file.readUInt16LE(56),
  };
  const segments = Array.from({ length: headers.count }, (_, index) =>
    readSegment(file, headers.at + index * headers.bytes),
  );
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  return {
    machine: file.readUInt16LE(18),
    type: file.readUInt16LE(16),
    interpreter: interpreter === undefined ? null : textAt(file, interpreter.offset),
    libraries: readLibraries(file, segments),
  };
}

function readSegment(file: Buffer, at: number): Segment {
  return {
    type: file.readUInt32LE(at),
    offset: Number(file.readBigUInt64LE(at + 8)),
    address: file.readBigUInt64LE(at + 16),
    bytes: Number(file.readBigUInt64LE(at + 32)),
  };
}

function readLibraries(file: Buffer, segments: readonly Segment[]): string[] {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) return [];
  const names: bigint[] = [];
  let strings = 0;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.bytes; at += 16) {
    const [tag, value] = [file.readBigUInt64LE(at), file.readBigUInt64LE(at + 8)];
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) names.push(value);
    if (tag === DT_STRTAB) strings = offsetOf(value, segments);
  }
  return names.map((name) => textAt(file, strings + Number(name)));
}

/** Where in the file lies what is loaded at an address. */
function offsetOf(address: bigint, segments: readonly Segment[]): number {
  const segment = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + BigInt(one.bytes),
  );
  if (segment === undefined) throw new Error(`no segment of the file has the address ${address}`);
  return segment.offset + Number(address - segment.address);
}

function textAt(file: Buffer, at: number): string {
  return file.toString("latin1", at, file.indexOf(0, at));
}

/** The newest version of glibc's symbols that the file names, as [2, 17]. */
export function neededGlibc(file: Buffer): readonly [number, number] {
  let newest = 0;
  for (const [, minor] of file.toString("latin1").matchAll(/GLIBC_2\.(\d+)/g))
    newest = Math.max(newest, Number(minor));
  return [2, newest];
}
