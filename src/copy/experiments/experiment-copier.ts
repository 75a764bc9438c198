import { type RetryPolicy, withRetry } from "../../clickhouse/retry.ts";
import { TransportError } from "../../clickhouse/server-errors.ts";
import { describeRange } from "../../plan/key-range.ts";
import type { PageCopier, PageListener } from "../page-copier.ts";
import { type CopiedPage, NOTHING_COPIED, type PageResult, sumOf } from "../page-result.ts";
import type { PageToCopy } from "../read-page.ts";
import {
  type ExperimentPage,
  type ExperimentSource,
  readExperimentPage,
  StaleSpansError,
} from "./experiment-page.ts";

/** Copies the traces that dataset runs name, page by page: their root rows and their observations. */
export class ExperimentCopier {
  readonly #source: ExperimentSource;
  readonly #retry: RetryPolicy;
  readonly #copiers: readonly PageCopier[];
  readonly #known: Map<PageToCopy, ExperimentPage>;

  /** `copiers` take from `known` what is known of a page. */
  constructor(
    source: ExperimentSource,
    retry: RetryPolicy,
    copiers: readonly PageCopier[],
    known: Map<PageToCopy, ExperimentPage>,
  ) {
    this.#source = source;
    this.#retry = retry;
    this.#copiers = copiers;
    this.#known = known;
  }

  drain(): void {
    for (const copier of this.#copiers) copier.drain();
  }

  endInserts(): void {
    for (const copier of this.#copiers) copier.endInserts();
  }

  /** Copies a page. Resolves and rejects as {@link PageCopier.copy} does. */
  async copy(page: PageToCopy, listener: PageListener): Promise<CopiedPage> {
    const operation = `Copying traces of ${this.#source.tables.items}, ${describeRange(page.range)}`;
    return await withRetry(operation, this.#retry, () => this.#attempt(page, listener));
  }

  async #attempt(page: PageToCopy, listener: PageListener): Promise<CopiedPage> {
    const known = await readExperimentPage(this.#source, page);
    this.#known.set(page, known);
    try {
      const done = await this.#copyRows(page, listener);
      if (done.rows !== known.rows) {
        throw new StaleSpansError(
          `The page has ${done.rows} rows, and had ${known.rows} when its spans were read`,
        );
      }
      if (done.rows > 0 && known.items.count === 0) {
        throw new StaleSpansError(`The page has ${done.rows} rows, and no item that names their traces`);
      }
      return done;
    } catch (error) {
      if (!(error instanceof StaleSpansError)) throw error;
      throw new TransportError(error.message, { cause: error });
    } finally {
      this.#known.delete(page);
    }
  }

  async #copyRows(page: PageToCopy, listener: PageListener): Promise<CopiedPage> {
    const soFar: PageResult[] = this.#copiers.map(() => NOTHING_COPIED);
    const read = new Set<PageCopier>();
    const copying = this.#copiers.map((copier, i) =>
      copier.copy(page, {
        onProgress: (done, spent) => {
          soFar[i] = done;
          listener.onProgress(soFar.reduce(sumOf, NOTHING_COPIED), spent);
        },
        onRead: () => {
          read.add(copier);
          if (read.size === this.#copiers.length) listener.onRead();
        },
      }),
    );
    // Requests in flight finish before the error is reported.
    const results = await Promise.allSettled(copying);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const done = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    return {
      ...done.reduce<PageResult>(sumOf, NOTHING_COPIED),
      skipped: done.flatMap(({ skipped }) => skipped),
    };
  }
}
