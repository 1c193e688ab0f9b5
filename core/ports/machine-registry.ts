import type { CallOptions } from '../errors.ts';
import type { MachineKey, SiteId, TenantId } from '../domain/ids.ts';
import type { MachineEventKind } from '../domain/machine-history.ts';
import type { Machine } from '../domain/plant.ts';

/** Machines, where they stand, and what was done to them. */
export interface MachineRegistry {
  /** Creates or replaces a machine's description. `expectedRevision` makes it conditional. @throws PortError failed_precondition. */
  putMachine(
    tenant: TenantId,
    site: SiteId,
    machine: Machine,
    options?: CallOptions & { readonly expectedRevision?: number },
  ): Promise<RegisteredMachine>;
  /**
   * Puts machines of one site, all of them or none: where one is refused, none is changed. As many as a plant file may describe, each once;
   * resolves in the order given.
   * @throws PortError failed_precondition (of the first that is refused), invalid_argument (a machine is there twice).
   */
  putMachines(
    tenant: TenantId,
    site: SiteId,
    changes: readonly MachineChange[],
    options?: CallOptions,
  ): Promise<readonly RegisteredMachine[]>;
  /** The machine, or undefined where there is none of that key. */
  getMachine(key: MachineKey, options?: CallOptions): Promise<RegisteredMachine | undefined>;
  /** In order of key, strictly after `after`. */
  listMachines(query: MachineListQuery, options?: CallOptions): Promise<readonly RegisteredMachine[]>;
  /**
   * Forgets the machine and its history; stored readings stay. One that is not there is no error, unless `expectedRevision`, which makes it
   * conditional, says that it is. @throws PortError failed_precondition.
   */
  deleteMachine(key: MachineKey, options?: CallOptions & { readonly expectedRevision?: number }): Promise<void>;

  /** Remembers that an unknown machine sent something, within a bound; the oldest sighting is forgotten first. */
  quarantine(sighting: Sighting, options?: CallOptions): Promise<void>;
  /** The tenant's unknown machines that sent something, latest sighting first. */
  listQuarantine(tenant: TenantId, options?: CallOptions): Promise<readonly QuarantinedMachine[]>;

  /** Kept with the machine's history, which core/domain/machine-history.ts reads. @throws PortError resource_exhausted when that is full. */
  addMachineEvent(event: MachineHistoryEvent, options?: CallOptions): Promise<void>;
  /** The machine's history, oldest first. */
  machineEvents(key: MachineKey, options?: CallOptions): Promise<readonly MachineHistoryEvent[]>;
  /** Events of all machines, in order of key, then of time and id, strictly after `after`. */
  listMachineEvents(query: MachineEventListQuery, options?: CallOptions): Promise<readonly MachineHistoryEvent[]>;

  /** Calls back, soon and at least once, after any change of machines; returns how to stop. Readers keep a copy and refresh it. */
  onChange(listener: () => void): () => void;
}

/**
 * A machine that is known. `revision` is above 0 and rises with each change of its description, also where the machine was deleted in between:
 * a copy of the same revision holds the same.
 */
export interface RegisteredMachine {
  readonly key: MachineKey;
  readonly machine: Machine;
  readonly revision: number;
}

/** A description to put. `expectedRevision` makes it conditional: 0 where there must be no such machine yet. */
export interface MachineChange {
  readonly machine: Machine;
  readonly expectedRevision?: number;
}

/** Machines of a tenant or a site, or all; at most `limit`. */
export interface MachineListQuery {
  readonly tenant?: TenantId;
  readonly site?: SiteId;
  readonly after?: MachineKey;
  readonly limit: number;
}

/** A message of a machine that is not registered. */
export interface Sighting {
  readonly key: MachineKey;
  readonly device: string;
  readonly atMs: number;
  /** Up to 1 KiB of the payload, for the person who decides. */
  readonly sample: string;
}

/** The latest sighting of an unknown machine, and how often it was seen. */
export interface QuarantinedMachine extends Sighting {
  readonly messages: number;
  readonly firstAtMs: number;
}

/** Events of the kinds; at most `limit`. */
export interface MachineEventListQuery {
  readonly kinds: readonly MachineEventKind[];
  readonly after?: Pick<MachineHistoryEvent, 'key' | 'atMs' | 'id'>;
  readonly limit: number;
}

/** Something that was done to a machine; `id` makes a repeated call harmless. */
export interface MachineHistoryEvent {
  readonly id: string;
  readonly key: MachineKey;
  readonly kind: MachineEventKind;
  readonly atMs: number;
  readonly by: string;
  readonly text: string;
}
