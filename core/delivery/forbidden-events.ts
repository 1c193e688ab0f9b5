import type { StampedEvent } from '../domain/event.ts';

/** So often an event is tried while others go through before it is said to be forbidden for good: a minute and a half with a stream's longest delay. */
const FORBIDDEN_TRIES = 20;
/** More than a stream holds behind what failed. */
const MAX_REMEMBERED = 100_000;

/**
 * Tells an event that is forbidden by itself, as one whose object this process may not read, from all being forbidden, as with a token that has expired:
 * by whether others go through meanwhile.
 */
export class ForbiddenEvents {
  readonly #tried = new Map<string, { tries: number; passes: number }>();
  #passes = 0;
  /** Nothing has gone through since the last that was forbidden. */
  isAllForbidden = false;

  get passes(): number {
    return this.#passes;
  }

  passed(events: readonly StampedEvent[]): void {
    this.#passes++;
    this.isAllForbidden = false;
    if (this.#tried.size > 0) for (const event of events) this.#tried.delete(nameOf(event));
  }

  /** Of an event that was tried by itself: whether it is to be given up. */
  isForGood(event: StampedEvent): boolean {
    const name = nameOf(event);
    const known = this.#tried.get(name) ?? { tries: 0, passes: this.#passes };
    if (known.passes < this.#passes) known.tries++;
    known.passes = this.#passes;
    if (known.tries >= FORBIDDEN_TRIES) return this.#tried.delete(name);
    this.#tried.set(name, known);
    if (this.#tried.size > MAX_REMEMBERED) this.#tried.delete(this.#tried.keys().next().value!);
    return false;
  }
}

function nameOf({ source, epoch, seq }: StampedEvent): string {
  return `${source}/${epoch}/${seq}`;
}
