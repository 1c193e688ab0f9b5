import { PortError } from '#core/errors.ts';
import { orElseOnAbort } from '#core/stop-waiting.ts';

/** What is kept that nobody asked for again. */
const MAX_KEPT = 10_000;

interface Lookup<Result> {
  readonly answer: Promise<Result>;
  /** Aborted where it has been waited for long enough. */
  readonly patience: AbortSignal;
  isAnswered: boolean;
}

/**
 * Lookups that nobody waits for longer than `patienceMs`, however slow the answers are: one that is late is waited for no more, and the next who asks the
 * same has its answer, or waits no further. So what hangs costs one wait, and what is slow is answered in the end.
 */
export class PatientLookups<Result> {
  readonly #what: string;
  readonly #patienceMs: number;
  readonly #lookups = new Map<string, Lookup<Result>>();

  /** `what` is being asked, for the message: `the device registry`. */
  constructor(what: string, patienceMs: number) {
    this.#what = what;
    this.#patienceMs = patienceMs;
  }

  /** @throws PortError unavailable where the answer is late; what `look` throws. */
  async answer(id: string, look: () => Promise<Result>): Promise<Result> {
    const lookup = this.#lookups.get(id) ?? this.#begin(id, look);
    try {
      return await (lookup.isAnswered ? lookup.answer : this.#whilePatient(lookup, id));
    } finally {
      if (lookup.isAnswered && this.#lookups.get(id) === lookup) this.#lookups.delete(id);
    }
  }

  #whilePatient({ answer, patience }: Lookup<Result>, id: string): Promise<Result> {
    const late = () => new PortError('unavailable', `${this.#what} has not answered about ${id} yet`);
    return orElseOnAbort(answer, patience, late);
  }

  #begin(id: string, look: () => Promise<Result>): Lookup<Result> {
    const lookup = { answer: look(), patience: AbortSignal.timeout(this.#patienceMs), isAnswered: false };
    const answered = (): void => {
      lookup.isAnswered = true;
    };
    lookup.answer.then(answered, answered);
    this.#lookups.set(id, lookup);
    if (this.#lookups.size > MAX_KEPT) this.#lookups.delete(this.#lookups.keys().next().value!);
    return lookup;
  }
}
