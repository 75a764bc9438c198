const BLOCK_BYTES = 512;

/** A file in an archive. */
export interface TarFile {
  /** Its path in the archive, at most 100 bytes of ASCII. */
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

/**
 * A tar archive (ustar, POSIX.1-1988) of files in the order given, owned by root and dated alike: the same files give the
 * same bytes. `Bun.Archive` stamps the current time and knows no executable files, and the system's tar has flags for
 * this with GNU only.
 */
export function tar(files: readonly TarFile[], modifiedAtSeconds: number): Uint8Array<ArrayBuffer> {
  const blocks = files.flatMap(({ name, mode, content }) => [
    header(name, mode, content.length, modifiedAtSeconds),
    content,
    new Uint8Array(-content.length & (BLOCK_BYTES - 1)),
  ]);
  return Buffer.concat([...blocks, new Uint8Array(2 * BLOCK_BYTES)]);
}

function header(name: string, mode: number, bytes: number, modifiedAtSeconds: number): Uint8Array {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII.
  if (name.length > 100 || !/^[\x01-\x7f]+$/.test(name)) {
    throw new Error(`${JSON.stringify(name)}: expected a name of 1 to 100 ASCII characters`);
  }
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0, "latin1");
  block.write(octal(mode, 8), 100, "latin1");
  block.write(octal(0, 8), 108, "latin1");
  block.write(octal(0, 8), 116, "latin1");
  block.write(octal(bytes, 12), 124, "latin1");
  block.write(octal(modifiedAtSeconds, 12), 136, "latin1");
  // The checksum is the sum of the header's bytes with spaces in its own place.
  block.write("        ", 148, "latin1");
  block.write("0", 156, "latin1");
  block.write("ustar\0", 257, "latin1");
  block.write("00", 263, "latin1");
  block.write("root", 265, "latin1");
  block.write("root", 297, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A number in a field of `width` bytes, the last of which is NUL. */
function octal(value: number, width: number): string {
  const digits = value.toString(8);
  if (digits.length >= width) throw new Error(`${value} does not fit ${width - 1} octal digits`);
  return `${digits.padStart(width - 1, "0")}\0`;
}
