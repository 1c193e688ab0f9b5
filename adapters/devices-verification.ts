import { deviceRegistryContract, type DeviceRegistryHarness } from '#core/contracts/device-registry.contract.ts';
import { deployedContract, VERIFICATION_MARK, wasLeft, type Verification } from '#core/contracts/verification.ts';
import { retry } from '#core/delivery/retry.ts';
import type { DeviceId, TenantId } from '#core/domain/ids.ts';
import type { DeviceRegistry } from '#core/ports/device-registry.ts';

type ClosableRegistry = DeviceRegistry & { close(): void };

interface RegistryToVerify {
  readonly run: string;
  /** For who reads: `IoT Core in eu-central-1`. */
  readonly where: string;
  readonly needs: string;
  /** Opens it so that its changes are told by {@link CHANGES_NAME}: those who listen to the site's are not woken. */
  readonly open: () => Promise<ClosableRegistry>;
  /** Removes what has that name, where it is there. */
  readonly discardChanges: () => Promise<void>;
  readonly close?: () => void;
}

/** Of what in a registry tells of the changes that verifications make. */
export const CHANGES_NAME = `${VERIFICATION_MARK}-changes`;
/** The tenant of the devices that note which runs have made others. */
const NOTES = VERIFICATION_MARK as TenantId;

/** Runs the contract of device registries with devices of tenants that no site has. */
export async function devicesVerification(registry: RegistryToVerify): Promise<Verification> {
  const { run, where, needs, open, close } = registry;
  let cases = 0;
  let isNoted = false;
  const makeHarness = async (): Promise<DeviceRegistryHarness & AsyncDisposable> => {
    const opened: ClosableRegistry[] = [];
    const reopen = async () => {
      const another = await open();
      opened.push(another);
      return another;
    };
    const first = await reopen();
    if (!isNoted) await noteRun(first, run);
    isNoted = true;
    return {
      ...{ registry: first, reopen, tenants: tenantsOf(run), suffix: `${VERIFICATION_MARK}-${run}-${++cases}` },
      [Symbol.asyncDispose]: async () => {
        await removeDevices(first, run);
        for (const each of opened) each.close();
      },
    };
  };
  return {
    makes: `a few devices at a time with names that end in ${VERIFICATION_MARK}-${run}-*, for two tenants that nobody is, one that notes the run, and ${CHANGES_NAME}, in ${where}`,
    needs,
    contracts: [deployedContract(deviceRegistryContract, makeHarness)],
    sweep: (isOver) => sweep(registry, isOver),
    close: async () => close?.(),
  };
}

function tenantsOf(run: string): readonly [TenantId, TenantId] {
  return [`${VERIFICATION_MARK}-${run}-a` as TenantId, `${VERIFICATION_MARK}-${run}-b` as TenantId];
}

async function sweep({ open, discardChanges }: RegistryToVerify, isOver: (run: string) => boolean): Promise<number> {
  const registry = await open();
  try {
    const notes = await registry.listDevices(NOTES);
    const over = notes.filter(({ id }) => wasLeft(id, isOver));
    let removed = 0;
    for (const { id } of over) {
      removed += 1 + (await removeDevices(registry, runOfNote(id)));
      await remove(registry, id);
    }
    if (over.length === notes.length) await discardChanges();
    return removed;
  } finally {
    registry.close();
  }
}

/** Before it makes others: a registry lists the devices of one tenant, whose name must be known. */
async function noteRun(registry: DeviceRegistry, run: string): Promise<void> {
  const id = `${VERIFICATION_MARK}-${run}` as DeviceId;
  if (!(await registry.getDevice(id))) await registry.addDevice({ id, tenant: NOTES, machines: [] });
}

function runOfNote(id: DeviceId): string {
  return id.slice(VERIFICATION_MARK.length + 1);
}

async function removeDevices(registry: DeviceRegistry, run: string): Promise<number> {
  const lists = await Promise.all(tenantsOf(run).map((tenant) => registry.listDevices(tenant)));
  for (const { id } of lists.flat()) await remove(registry, id);
  return lists.flat().length;
}

/** A service that has just detached its credentials may refuse to remove a device for some time. */
function remove(registry: DeviceRegistry, id: DeviceId): Promise<void> {
  return retry(() => registry.removeDevice(id), { maxAttempts: 6, firstDelayMs: 200, longestDelayMs: 5_000 });
}
