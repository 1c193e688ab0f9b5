import { codeOf, messageOf } from '#core/errors.ts';
import type { Logger } from '#services/shared/observability/logger.ts';

/** What fails at present, by what was tried. */
export class Problems {
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #present = new Map<string, string>();

  constructor(logger: Pick<Logger, 'warn'>) {
    this.#logger = logger;
  }

  /** What has failed for longest; undefined while all is well. */
  get first(): string | undefined {
    return [...this.#present.values()][0];
  }

  report(doing: string, error: unknown): void {
    const problem = `cannot ${doing}: ${messageOf(error)}`;
    this.#present.set(doing, problem);
    this.#logger.warn({ code: codeOf(error) }, problem);
  }

  solved(doing: string): void {
    this.#present.delete(doing);
  }
}
