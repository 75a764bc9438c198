/**
 * Bytes that do not form the Native block they should be. Never means "no more rows": a response that ends with this error
 * is not whole.
 */
export class NativeFormatError extends Error {
  override readonly name: string = "NativeFormatError";
}
