import { sql, type Transaction } from 'kysely';
import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import type { QuarantinedMachine, Sighting } from '#core/ports/machine-registry.ts';
import type { GroupCommit } from './group-commit.ts';

const MAX_SAMPLE_LENGTH = 1024;
/** SQL knows no offset without a limit: far more than there can be. */
const MAX_PRUNED = 1_000_000_000;

/** Sightings of unknown machines that wait to be written. */
export class QuarantineBuffer<Schema> {
  readonly #commit: GroupCommit<Schema>;
  readonly #maxQuarantined: number;
  readonly #flushMs: number;
  #waiting = new Map<MachineKey, QuarantinedMachine>();
  #timer: NodeJS.Timeout | undefined;
  #failed = 0;

  constructor(commit: GroupCommit<Schema>, maxQuarantined: number, flushMs: number) {
    this.#commit = commit;
    this.#maxQuarantined = maxQuarantined;
    this.#flushMs = flushMs;
  }

  /** Resolves at once, or after a flush when as many machines wait as a tenant may have: no tenant's flood pushes out another's. */
  async add(sighting: Sighting): Promise<void> {
    const known = this.#waiting.get(sighting.key);
    if (!known && this.#waiting.size >= this.#maxQuarantined) await this.flush();
    this.#waiting.set(sighting.key, {
      ...sighting,
      // PostgreSQL keeps no NUL in text.
      sample: sighting.sample.slice(0, MAX_SAMPLE_LENGTH).replaceAll('\0', '\uFFFD'),
      messages: (known?.messages ?? 0) + 1,
      firstAtMs: known?.firstAtMs ?? sighting.atMs,
    });
    this.#timer ??= setTimeout(() => void this.flush().catch(() => this.#failed++), this.#flushMs).unref();
  }

  /** Flushes whose sightings were lost because the database did not take them; the next message of the machine is a new sighting. */
  get failedFlushes(): number {
    return this.#failed;
  }

  forget(key: MachineKey): void {
    this.#waiting.delete(key);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.size === 0) return;
    const sightings = [...this.#waiting.values()];
    this.#waiting = new Map();
    await this.#commit.write((db) => this.#store(db, sightings));
  }

  async #store(db: Transaction<Schema>, sightings: readonly QuarantinedMachine[]): Promise<void> {
    for (const { key, device, firstAtMs, atMs, messages, sample } of sightings) {
      await sql`insert into quarantined_machine as known (key, tenant, device, first_at_ms, at_ms, messages, sample)
        select ${key}, ${machineRef(key).tenant}, ${device}, ${firstAtMs}, ${atMs}, ${messages}, ${sample}
        where not exists (select 1 from machine where key = ${key})
        on conflict (key) do update set device = excluded.device, at_ms = excluded.at_ms,
          messages = known.messages + excluded.messages, sample = excluded.sample`.execute(db);
    }
    for (const tenant of new Set<TenantId>(sightings.map(({ key }) => machineRef(key).tenant))) {
      await sql`delete from quarantined_machine where key in
        (select key from quarantined_machine where tenant = ${tenant}
         order by at_ms desc, key limit ${MAX_PRUNED} offset ${this.#maxQuarantined})`.execute(db);
    }
  }
}
