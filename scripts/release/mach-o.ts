import { createHash } from "node:crypto";

/** What macOS looks at before it starts a 64-bit Mach-O file. */
export interface MachO {
  /** CPU_TYPE_X86_64 is 0x01000007, CPU_TYPE_ARM64 0x0100000c. */
  readonly cpuType: number;
  /** MH_EXECUTE is 2. */
  readonly fileType: number;
  /** The oldest macOS that takes it, as "13.0". */
  readonly minimumOs: string | null;
  readonly signature: CodeSignature | null;
}

/** An embedded signature, as `codesign` checks it. */
export interface CodeSignature {
  readonly identifier: string;
  /** Without a certificate: nothing but digests of the file. */
  readonly isAdHoc: boolean;
  readonly pages: number;
  /** Pages whose digest is not the one in the signature; macOS kills a process that touches one, on Apple silicon always. */
  readonly wrongPages: number;
  /** Bytes before the signature that its digests leave out. */
  readonly bytesNotCovered: number;
}

const MH_MAGIC_64 = 0xfeedfacf;
const HEADER_BYTES = 32;
const LC_CODE_SIGNATURE = 0x1d;
const LC_BUILD_VERSION = 0x32;
const CSMAGIC_EMBEDDED_SIGNATURE = 0xfade0cc0;
const CSMAGIC_CODEDIRECTORY = 0xfade0c02;
const CS_ADHOC = 0x2;
const CS_HASHTYPE_SHA256 = 2;

/**
 * Reads the load commands and checks the page digests. Formats: mach-o/loader.h and, for the signature, whose numbers are
 * big-endian, kern/cs_blobs.h of Apple's xnu.
 * @throws when the file is no such Mach-O file, or its signature is not one of SHA-256 digests.
 */
export function readMachO(file: Buffer): MachO {
  if (file.readUInt32LE(0) !== MH_MAGIC_64) throw new Error("not a 64-bit little-endian Mach-O file");
  let minimumOs: string | null = null;
  let signature: CodeSignature | null = null;
  for (let at = HEADER_BYTES, left = file.readUInt32LE(16); left > 0; left -= 1) {
    const command = file.readUInt32LE(at);
    if (command === LC_BUILD_VERSION) {
      const version = file.readUInt32LE(at + 12);
      minimumOs = `${version >>> 16}.${(version >>> 8) & 0xff}`;
    }
    if (command === LC_CODE_SIGNATURE) {
      signature = readSignature(file, file.readUInt32LE(at + 8), file.readUInt32LE(at + 12));
    }
    at += file.readUInt32LE(at + 4);
  }
  return { cpuType: file.readUInt32LE(4), fileType: file.readUInt32LE(12), minimumOs, signature };
}

function readSignature(file: Buffer, start: number, bytes: number): CodeSignature {
  const blob = file.subarray(start, start + bytes);
  if (blob.readUInt32BE(0) !== CSMAGIC_EMBEDDED_SIGNATURE)
    throw new Error("no embedded signature where one is announced");
  const offsets = Array.from({ length: blob.readUInt32BE(8) }, (_, index) =>
    blob.readUInt32BE(12 + 8 * index + 4),
  );
  const at = offsets.find((offset) => blob.readUInt32BE(offset) === CSMAGIC_CODEDIRECTORY);
  if (at === undefined) throw new Error("the signature has no code directory");
  const directory = blob.subarray(at, at + blob.readUInt32BE(at + 4));
  const [digestBytes, digestType, , pageBits] = directory.subarray(36, 40);
  if (digestBytes !== 32 || digestType !== CS_HASHTYPE_SHA256 || pageBits === undefined) {
    throw new Error(`digests of type ${digestType}: expected SHA-256`);
  }
  const pages = directory.readUInt32BE(28);
  const codeBytes = directory.readUInt32BE(32);
  const firstDigest = directory.readUInt32BE(16);
  const pageBytes = 2 ** pageBits;
  let wrongPages = Math.abs(pages - Math.ceil(codeBytes / pageBytes));
  for (let page = 0; page < pages; page += 1) {
    const content = file.subarray(page * pageBytes, Math.min((page + 1) * pageBytes, codeBytes));
    const digest = createHash("sha256").update(content).digest();
    const stated = directory.subarray(firstDigest + 32 * page, firstDigest + 32 * (page + 1));
    if (!digest.equals(stated)) wrongPages += 1;
  }
  const identifierAt = directory.readUInt32BE(20);
  return {
    identifier: directory.toString("latin1", identifierAt, directory.indexOf(0, identifierAt)),
    isAdHoc: (directory.readUInt32BE(12) & CS_ADHOC) !== 0,
    pages,
    wrongPages,
    bytesNotCovered: start - codeBytes,
  };
}
