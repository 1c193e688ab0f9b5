import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { atStart } from '#core/delivery/at-start.ts';
import { SharedDocument } from '#core/delivery/shared-document.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { readDocument } from './readable-document.ts';

const NAME = 'api-gateway.ended-sessions';
/** Each is a document of some tens of KiB at the most, which every checkpoint store takes. */
const SLICES = 16;
const MAX_A_SLICE = 625;
/** How often it is looked whether another copy has ended one. */
const LOOK_EVERY_MS = 2_000;
const REMEDY =
  'delete it, and the checkpoint api-gateway.session-key and the secrets whose names begin so, which ends all sessions';

/** When each ended session would have expired, by its id. */
const endedSchema = z.record(z.string(), z.number());
type Ended = z.infer<typeof endedSchema>;

export interface EndedSessionsOptions {
  readonly lookEveryMs?: number;
  /** Told when it cannot be read what others have ended, or kept what ended here; it is tried again. */
  readonly onProblem: (what: string, error: unknown) => void;
}

/**
 * Sessions that were ended before their time, until they would have expired: in memory, and in the checkpoint store for the next start and the
 * other copies, which look there every two seconds. Of more than 10,000 the oldest are forgotten.
 */
export class EndedSessions {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #slices: readonly Map<string, number>[] = Array.from({ length: SLICES }, () => new Map());
  readonly #documents: readonly SharedDocument<Ended>[];
  /** How many were ever ended, so that one small document tells whether there is anything new in the others. */
  readonly #count: SharedDocument<number>;
  /** None yet, at the start: what was ended before sessions were counted is read, too. */
  #seen: number | undefined;
  readonly #looking: NodeJS.Timeout;
  /** Slices whose last save failed: what they hold is not kept, or not counted, so that others do not look for it. */
  readonly #unsaved = new Set<number>();
  #saving: Promise<void> = Promise.resolve();

  static async open(checkpoints: CheckpointStore, clock: Clock, options: EndedSessionsOptions): Promise<EndedSessions> {
    const ended = new EndedSessions(checkpoints, clock, options);
    try {
      await atStart(() => ended.#readNew());
    } catch (error) {
      ended.close();
      throw error;
    }
    return ended;
  }

  private constructor(
    checkpoints: CheckpointStore,
    clock: Clock,
    { lookEveryMs = LOOK_EVERY_MS, onProblem }: EndedSessionsOptions,
  ) {
    this.#clock = clock;
    const documentOf = <Content>(name: string, schema: z.ZodType<Content>) =>
      new SharedDocument(checkpoints, name, clock, (text) => readDocument(text, schema, `checkpoint ${name}`, REMEDY));
    this.#documents = this.#slices.map((_, slice) => documentOf(`${NAME}.${slice}`, endedSchema));
    this.#count = documentOf(NAME, z.number());
    let isReading = false;
    const look = async (): Promise<void> => {
      // One that is slow is not asked for again.
      if (isReading) return;
      isReading = true;
      await this.#saveRest().catch((error: unknown) => onProblem('keeping which sessions were ended', error));
      await this.#readNew().catch((error: unknown) => onProblem('reading which sessions were ended', error));
      isReading = false;
    };
    this.#looking = setInterval(() => void look(), lookEveryMs).unref();
  }

  /** Looks for no more. */
  close(): void {
    clearInterval(this.#looking);
  }

  /** What a Tribo before this one kept as one secret, which grew too large for the secret stores of the clouds. */
  async takeOver(secrets: SecretStore): Promise<void> {
    const text = await atStart(() => secrets.get(NAME));
    if (text === undefined) return;
    const before = Object.entries(readDocument(text, endedSchema, `secret ${NAME}`, REMEDY));
    const slices = new Set(before.map((each) => this.#remember(...each)));
    for (const slice of slices) await this.#save(slice);
    await secrets.delete(NAME);
  }

  has(sessionId: string): boolean {
    return this.#slices[sliceOf(sessionId)]!.has(sessionId);
  }

  /**
   * At once in this process; resolves when it is kept, from when on the other copies know it soon. What could not be kept is tried again at
   * each look. @throws PortError of the checkpoint store.
   */
  async add(sessionId: string, expiresAtMs: number): Promise<void> {
    await this.#saveInTurn(this.#remember(sessionId, expiresAtMs));
  }

  async #saveRest(): Promise<void> {
    for (const slice of [...this.#unsaved]) await this.#saveInTurn(slice);
  }

  #saveInTurn(slice: number): Promise<void> {
    const saved = this.#saving.then(() => this.#save(slice));
    // One that failed is told to whoever asked for it, and must not stop the next.
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  async #save(slice: number): Promise<void> {
    this.#unsaved.delete(slice);
    try {
      await this.#documents[slice]!.change((saved = {}) => {
        this.#take(slice, saved);
        return Object.fromEntries(this.#slices[slice]!);
      });
      // Last: who sees it finds what it counts.
      await this.#count.change((count = 0) => count + 1);
    } catch (error) {
      this.#unsaved.add(slice);
      throw error;
    }
  }

  async #readNew(): Promise<void> {
    const count = (await this.#count.read(0)) ?? 0;
    if (count === this.#seen) return;
    const saved = await Promise.all(this.#documents.map((document) => document.read(0)));
    saved.forEach((ended, slice) => this.#take(slice, ended ?? {}));
    this.#seen = count;
  }

  /** What others have saved comes before this process's own. */
  #take(slice: number, saved: Ended): void {
    const own = [...this.#slices[slice]!];
    this.#slices[slice]!.clear();
    for (const [id, expiresAtMs] of Object.entries(saved)) this.#remember(id, expiresAtMs);
    for (const each of own) this.#remember(...each);
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
