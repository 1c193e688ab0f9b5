import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { isPortError, PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';

const NAME = 'api-gateway.ended-sessions';
/** Each is a document of some tens of KiB at the most, which every checkpoint store takes. */
const SLICES = 16;
const MAX_A_SLICE = 625;
const ATTEMPTS = 8;

/** When each ended session would have expired, by its id. */
const endedSchema = z.record(z.string(), z.number());

/**
 * Sessions that were ended before their time, until they would have expired: in memory, and for the next start in the checkpoint store.
 * Of more than 10,000 the oldest are forgotten.
 */
export class EndedSessions {
  readonly #checkpoints: CheckpointStore;
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #slices: readonly Map<string, number>[] = Array.from({ length: SLICES }, () => new Map());
  #saving: Promise<void> = Promise.resolve();

  static async open(checkpoints: CheckpointStore, clock: Clock): Promise<EndedSessions> {
    const ended = new EndedSessions(checkpoints, clock);
    await Promise.all(Array.from(ended.#slices.keys(), (slice) => ended.#load(slice)));
    return ended;
  }

  private constructor(checkpoints: CheckpointStore, clock: Clock) {
    this.#checkpoints = checkpoints;
    this.#clock = clock;
  }

  /** What a Tribo before this one kept as one secret, which grew too large for the secret stores of the clouds. */
  async takeOver(secrets: SecretStore): Promise<void> {
    const text = await secrets.get(NAME);
    if (text === undefined) return;
    const slices = new Set(Object.entries(endedIn(text, `secret ${NAME}`)).map((each) => this.#remember(...each)));
    for (const slice of slices) await this.#save(slice);
    await secrets.delete(NAME);
  }

  has(sessionId: string): boolean {
    return this.#slices[sliceOf(sessionId)]!.has(sessionId);
  }

  /** At once in this process; resolves when it is kept. @throws PortError of the checkpoint store. */
  async add(sessionId: string, expiresAtMs: number): Promise<void> {
    const slice = this.#remember(sessionId, expiresAtMs);
    const saved = this.#saving.then(() => this.#save(slice));
    // One that failed is told to whoever asked for it, and must not stop the next.
    this.#saving = saved.catch(() => undefined);
    await saved;
  }

  /** With what others have saved since: of two that save at once, one loads again. */
  async #save(slice: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const version = await this.#load(slice);
      const state = Buffer.from(JSON.stringify(Object.fromEntries(this.#slices[slice]!)));
      try {
        await this.#checkpoints.save(checkpointOf(slice), state, version);
        return;
      } catch (error) {
        const isAnothers = isPortError(error) && error.code === 'failed_precondition';
        if (!isAnothers || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #load(slice: number): Promise<number> {
    const checkpoint = await this.#checkpoints.load(checkpointOf(slice));
    if (!checkpoint) return 0;
    const text = Buffer.from(checkpoint.state).toString('utf8');
    const own = [...this.#slices[slice]!];
    this.#slices[slice]!.clear();
    for (const [id, expiresAtMs] of Object.entries(endedIn(text, `checkpoint ${checkpointOf(slice)}`)))
      this.#remember(id, expiresAtMs);
    for (const each of own) this.#remember(...each);
    return checkpoint.version;
  }

  #remember(sessionId: string, untilMs: number): number {
    const slice = sliceOf(sessionId);
    const ended = this.#slices[slice]!;
    const nowMs = this.#clock.nowMs();
    for (const [id, expiresAtMs] of ended) if (expiresAtMs <= nowMs) ended.delete(id);
    if (untilMs > nowMs) ended.set(sessionId, untilMs);
    for (const oldest of ended.keys()) {
      if (ended.size <= MAX_A_SLICE) break;
      ended.delete(oldest);
    }
    return slice;
  }
}

/** Ids are random bytes: their first divides them evenly. */
function sliceOf(sessionId: string): number {
  return (Buffer.from(sessionId.slice(0, 2), 'base64url')[0] ?? 0) % SLICES;
}

function checkpointOf(slice: number): string {
  return `${NAME}.${slice}`;
}

function endedIn(text: string, where: string): Readonly<Record<string, number>> {
  const parsed = endedSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new PortError(
    'data_loss',
    `${where} cannot be read; delete it and the secret api-gateway.session-key, which ends all sessions`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
