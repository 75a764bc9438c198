/** More queries than this at a time are refused, as a server refuses them. */
export const MAX_CONCURRENT_QUERIES = 40;

/**
 * What UV_THREADPOOL_SIZE must be for that many: an insert keeps three threads busy, the query's and one for each end of
 * its pipe, and those must never wait for one another. Bun reads the variable once, at start.
 */
export const THREAD_POOL_SIZE = 3 * MAX_CONCURRENT_QUERIES + 8;
