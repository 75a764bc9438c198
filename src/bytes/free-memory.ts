/**
 * Frees the memory of bytes that nothing refers to any more. The collector sees only the small objects that hold them: left
 * to it, hundreds of megabytes wait to be freed. Bytes that share their memory with others are left to it all the same.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // What detaches a buffer frees its memory at once.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
