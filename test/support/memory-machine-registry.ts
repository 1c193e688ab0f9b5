import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { Machine } from '#core/domain/plant.ts';
import type {
  MachineChange,
  MachineEventListQuery,
  MachineHistoryEvent,
  MachineListQuery,
  MachineRegistry,
  QuarantinedMachine,
  RegisteredMachine,
  Sighting,
} from '#core/ports/machine-registry.ts';

/** Machines in a map. */
export class MemoryMachineRegistry implements MachineRegistry {
  readonly #machines = new Map<MachineKey, RegisteredMachine>();
  readonly #revisions = new Map<MachineKey, number>();
  readonly #quarantine = new Map<MachineKey, QuarantinedMachine>();
  readonly #history: MachineHistoryEvent[] = [];
  readonly #listeners = new Set<() => void>();

  async putMachine(tenant: TenantId, site: SiteId, machine: Machine): Promise<RegisteredMachine> {
    const key = machineKey(tenant, site, machine.id as MachineId);
    const revision = (this.#revisions.get(key) ?? 0) + 1;
    const registered = { key, machine, revision };
    this.#revisions.set(key, revision);
    this.#machines.set(key, registered);
    this.#changed();
    return registered;
  }

  async putMachines(
    tenant: TenantId,
    site: SiteId,
    changes: readonly MachineChange[],
  ): Promise<readonly RegisteredMachine[]> {
    return Promise.all(changes.map(({ machine }) => this.putMachine(tenant, site, machine)));
  }

  async getMachine(key: MachineKey): Promise<RegisteredMachine | undefined> {
    return this.#machines.get(key);
  }

  async listMachines({ after = '' as MachineKey, limit }: MachineListQuery): Promise<readonly RegisteredMachine[]> {
    const sorted = [...this.#machines.values()].sort((left, right) => (left.key < right.key ? -1 : 1));
    return sorted.filter(({ key }) => key > after).slice(0, limit);
  }

  async deleteMachine(key: MachineKey): Promise<void> {
    this.#machines.delete(key);
    this.#changed();
  }

  async quarantine(sighting: Sighting): Promise<void> {
    const known = this.#quarantine.get(sighting.key);
    const firstAtMs = known?.firstAtMs ?? sighting.atMs;
    this.#quarantine.set(sighting.key, { ...sighting, firstAtMs, messages: (known?.messages ?? 0) + 1 });
  }

  async listQuarantine(tenant: TenantId): Promise<readonly QuarantinedMachine[]> {
    return [...this.#quarantine.values()].filter(({ key }) => key.startsWith(`${tenant}/`));
  }

  async addMachineEvent(event: MachineHistoryEvent): Promise<void> {
    this.#history.push(event);
    this.#changed();
  }

  async machineEvents(key: MachineKey): Promise<readonly MachineHistoryEvent[]> {
    return this.#history.filter((event) => event.key === key);
  }

  async listMachineEvents({ kinds, after, limit }: MachineEventListQuery): Promise<readonly MachineHistoryEvent[]> {
    const sorted = this.#history.filter(({ kind }) => kinds.includes(kind)).sort(inOrder);
    return sorted.filter((event) => !after || inOrder(event, after) > 0).slice(0, limit);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

type Place = Pick<MachineHistoryEvent, 'key' | 'atMs' | 'id'>;

function inOrder(left: Place, right: Place): number {
  if (left.key !== right.key) return left.key < right.key ? -1 : 1;
  return left.atMs - right.atMs || (left.id < right.id ? -1 : left.id > right.id ? 1 : 0);
}
