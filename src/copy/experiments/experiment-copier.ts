import { type RetryPolicy, withRetry } from "../../clickhouse/retry.ts";
import { describeRange } from "../../plan/key-range.ts";
import type { PageCopier, PageListener } from "../page-copier.ts";
import { type CopiedPage, NOTHING_COPIED, type PageResult, sumOf } from "../page-result.ts";
import type { PageToCopy } from "../read-page.ts";
import { type ExperimentPage, type ExperimentSource, readExperimentPage } from "./experiment-page.ts";

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

  /** Copies a page. Resolves and rejects as {@link PageCopier.copy} does. */
  async copy(page: PageToCopy, listener: PageListener): Promise<CopiedPage> {
    const operation = `Reading spans of ${this.#source.tables.items}, ${describeRange(page.range)}`;
    this.#known.set(
      page,
      await withRetry(operation, this.#retry, () => readExperimentPage(this.#source, page)),
    );
    try {
      return await this.#copyRows(page, listener);
    } finally {
      this.#known.delete(page);
    }
  }

  async #copyRows(page: PageToCopy, listener: PageListener): Promise<CopiedPage> {
    const soFar: PageResult[] = this.#copiers.map(() => NOTHING_COPIED);
    const read = new Set<PageCopier>();
    const copying = this.#copiers.map((copier, i) =>
      copier.copy(page, {
        onProgress: (done) => {
          soFar[i] = done;
          listener.onProgress(soFar.reduce(sumOf, NOTHING_COPIED));
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
