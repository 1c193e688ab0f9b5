import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { HttpProblem } from '../../shared/http/problem.ts';

export interface RateLimitSettings {
  /** Requests a second of one caller, and of all callers of a tenant together. */
  readonly apiPerCaller: number;
  readonly apiPerTenant: number;
  readonly telemetryPerCaller: number;
  readonly telemetryPerTenant: number;
  /** Failed authentications a minute from one address. */
  readonly failuresPerAddress: number;
}

export const DEFAULT_RATE_LIMITS: RateLimitSettings = {
  apiPerCaller: 200,
  apiPerTenant: 2000,
  telemetryPerCaller: 2000,
  telemetryPerTenant: 10_000,
  failuresPerAddress: 60,
};

/** Allowances in windows of a second. What is above is refused at once with the time to wait, so that no queue builds up behind it. */
export class RateLimits {
  readonly #limiters: Readonly<Record<'api' | 'telemetry', readonly [RateLimiterMemory, RateLimiterMemory]>>;
  readonly #failures: RateLimiterMemory;

  constructor(settings: RateLimitSettings) {
    const perSecond = (points: number) => new RateLimiterMemory({ points, duration: 1 });
    this.#limiters = {
      api: [perSecond(settings.apiPerCaller), perSecond(settings.apiPerTenant)],
      telemetry: [perSecond(settings.telemetryPerCaller), perSecond(settings.telemetryPerTenant)],
    };
    this.#failures = new RateLimiterMemory({ points: settings.failuresPerAddress, duration: 60 });
  }

  /** @throws HttpProblem rate-limited. */
  async consume(
    allowance: 'api' | 'telemetry',
    caller: { readonly tenant: string; readonly subject: string },
  ): Promise<void> {
    const [perCaller, perTenant] = this.#limiters[allowance];
    await take(perCaller, `${caller.tenant}/${caller.subject}`, 'This caller');
    await take(perTenant, caller.tenant, 'This tenant');
  }

  /** Counts a failed authentication. @throws HttpProblem rate-limited, in place of the answer, when there were too many. */
  async failed(address: string): Promise<void> {
    await take(this.#failures, address, 'This address');
  }
}

async function take(limiter: RateLimiterMemory, key: string, who: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused;
    throw new HttpProblem('rate-limited', {
      detail: `${who} has used up its allowance of ${limiter.points} in ${limiter.duration} s.`,
      remedy: 'Wait as Retry-After says; send more in one request instead of more requests.',
      // The limiter's windows end by timers; what it says is left of one is wrong for a moment after the clock was set.
      retryAfterSeconds: Math.min(limiter.duration, Math.max(1, Math.ceil(refused.msBeforeNext / 1000))),
    });
  }
}
