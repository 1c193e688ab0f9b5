import { systemClock, type Clock } from '#core/clock.ts';

/** Gives no reason while all is well, else why not, and what to do. */
export type ReadinessCheck = () => string | undefined | Promise<string | undefined>;

export interface ReadinessReport {
  readonly status: 'ready' | 'not-ready';
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason?: string }[];
}

const CHECK_TIMEOUT_MS = 2000;
const REPORT_AGE_MS = 500;

/** Whether a service can do its work, and if not, why. Probes that come together share one evaluation. */
export class Readiness {
  readonly #checks: ReadonlyMap<string, ReadinessCheck>;
  readonly #attention: ReadonlyMap<string, ReadinessCheck>;
  readonly #clock: Clock;
  #report: { readonly atMs: number; readonly value: Promise<ReadinessReport> } | undefined;
  #stopping = false;

  /** What calls for `attention` is told, and does not keep the service from its work. */
  constructor(
    checks: Readonly<Record<string, ReadinessCheck>>,
    clock: Clock = systemClock,
    attention: Readonly<Record<string, ReadinessCheck>> = {},
  ) {
    this.#checks = new Map(Object.entries(checks));
    this.#attention = new Map(Object.entries(attention));
    this.#clock = clock;
  }

  report(): Promise<ReadinessReport> {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#report || nowMs - this.#report.atMs > REPORT_AGE_MS) {
      this.#report = { atMs: nowMs, value: this.#evaluate() };
    }
    return this.#report.value;
  }

  /** From now on not ready, so that no more work is sent here while what is under way is finished. */
  stopping(): void {
    this.#stopping = true;
    this.#report = undefined;
  }

  async #evaluate(): Promise<ReadinessReport> {
    const [readiness, attention] = await Promise.all([reasonsOf(this.#checks), reasonsOf(this.#attention)]);
    const checks: ReadinessReport['checks'][number][] = [
      ...readiness.map(([name, reason]) => (reason === undefined ? { name, ok: true } : { name, ok: false, reason })),
      ...attention.flatMap(([name, reason]) => (reason === undefined ? [] : [{ name, ok: true, reason }])),
    ];
    if (this.#stopping) checks.unshift({ name: 'process', ok: false, reason: 'it is stopping' });
    return { status: checks.every(({ ok }) => ok) ? 'ready' : 'not-ready', checks };
  }
}

function reasonsOf(
  checks: ReadonlyMap<string, ReadinessCheck>,
): Promise<readonly (readonly [name: string, reason: string | undefined])[]> {
  return Promise.all([...checks].map(async ([name, check]) => [name, await reasonOf(check)] as const));
}

async function reasonOf(check: ReadinessCheck): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS).unref();
  });
  try {
    return await Promise.race([check(), late]);
  } catch (error) {
    return error instanceof Error ? error.message : 'it failed';
  } finally {
    clearTimeout(timer);
  }
}
