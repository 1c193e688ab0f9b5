import { randomBytes } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { byKey, type IotHubRegistryCalls } from './client.ts';

/** The hub's index of twins is this late at most. */
const INDEX_LAG_MS = 600_000;
/** So many changes are noted, in a tag of 8 KiB: 80 bytes and 13 digits each. */
const MAX_NOTES = 60;

interface Notes {
  /** Of the last change. */
  readonly mark: string;
  /** Devices that were changed lately, the newest last. */
  readonly recent: readonly { readonly id: string; readonly atMs: number }[];
}

/** Which devices were changed lately, by whomever: a tag of the twin of an identity that is no device's. */
export class ChangeNotes {
  readonly #hub: IotHubRegistryCalls;
  readonly #name: string;
  readonly #clock: Clock;

  constructor(hub: IotHubRegistryCalls, name: string, clock: Clock) {
    this.#hub = hub;
    this.#name = name;
    this.#clock = clock;
  }

  async mark(): Promise<string | undefined> {
    return (await this.#read())?.notes.mark;
  }

  async recent(): Promise<readonly string[]> {
    const since = this.#clock.nowMs() - INDEX_LAG_MS;
    const { recent = [] } = (await this.#read())?.notes ?? {};
    return recent.filter(({ atMs }) => atMs >= since).map(({ id }) => id);
  }

  /** Fails as the hub does where somebody else added one meanwhile. */
  async add(mark: string, id: string): Promise<void> {
    const now = await this.#read();
    const others = (now?.notes.recent ?? []).filter((each) => each.id !== id);
    const recent = [...others, { id, atMs: this.#clock.nowMs() }].slice(-MAX_NOTES);
    const tags = { triboChanges: { mark, recent } satisfies Notes };
    if (now) await this.#hub.changeTags(this.#name, now.etag, tags);
    else {
      const nobodys = byKey(randomBytes(32).toString('base64'));
      await this.#hub.create(this.#name, { isEnabled: false, authentication: nobodys }, tags);
    }
  }

  async #read(): Promise<{ readonly etag: string; readonly notes: Partial<Notes> } | undefined> {
    const twin = await this.#hub.twin(this.#name);
    return twin && { etag: twin.etag, notes: twin.tags['triboChanges'] ?? {} };
  }
}
