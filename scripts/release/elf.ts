/** What Linux and its loader look at before they start a 64-bit ELF file. */
export interface Elf {
  /** EM_X86_64 is 62, EM_AARCH64 183. */
  readonly machine: number;
  /** ET_EXEC is 2; ET_DYN, a position-independent executable, 3. */
  readonly type: number;
  /** The dynamic loader, such as /lib64/ld-linux-x86-64.so.2. */
  readonly interpreter: string | null;
}

const PT_INTERP = 3;

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
  let interpreter: string | null = null;
  for (let index = 0; index < headers.count; index += 1) {
    const at = headers.at + index * headers.bytes;
    if (file.readUInt32LE(at) !== PT_INTERP) continue;
    const start = Number(file.readBigUInt64LE(at + 8));
    interpreter = file.toString("latin1", start, file.indexOf(0, start));
  }
  return { machine: file.readUInt16LE(18), type: file.readUInt16LE(16), interpreter };
}

/** The newest version of glibc's symbols that the file names, as [2, 17]. */
export function neededGlibc(file: Buffer): readonly [number, number] {
  let newest = 0;
  for (const [, minor] of file.toString("latin1").matchAll(/GLIBC_2\.(\d+)/g))
    newest = Math.max(newest, Number(minor));
  return [2, newest];
}
