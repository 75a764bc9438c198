/**
 * Which JSON a target keeps as it is. What it would alter is embedded as a JSON string. "Large" are integers beyond 2^53 on
 * either side of 0, which a double does not hold exactly.
 */
export interface KeptJson {
  /** Arrays that hold several of strings, numbers, booleans and objects, or that hold arrays. */
  readonly mixedArrays: boolean;
  /** Large integers that are elements of arrays. */
  readonly largeIntegersInArrays: boolean;
  /** Large integers elsewhere. */
  readonly largeIntegers: boolean;
}

/** A column of type String: it keeps the text. */
export const STRING_KEEPS: KeptJson = { mixedArrays: true, largeIntegersInArrays: true, largeIntegers: true };

/**
 * The JSON columns of servers from 26.3 on. In no version do they keep large integers in arrays: beside a float, in the same
 * array or in another row's array of the same path, they become floats.
 */
export const JSON_COLUMN_KEEPS: KeptJson = {
  mixedArrays: true,
  largeIntegersInArrays: false,
  largeIntegers: true,
};

/** Any JSON column of any version. */
export const LEAST_KEPT: KeptJson = {
  mixedArrays: false,
  largeIntegersInArrays: false,
  largeIntegers: false,
};
