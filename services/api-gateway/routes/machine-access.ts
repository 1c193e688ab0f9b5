import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { RegisteredMachine } from '#core/ports/machine-registry.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { FleetMachineState } from '../fleet/fleet-machine-state.ts';
import type { GatewayServices } from '../services.ts';
import { placeOf } from '../views.ts';

interface Address {
  readonly tenant: TenantId;
  readonly site?: string | undefined;
  readonly machine: string;
}

/**
 * The caller's machine of that name. Another tenant's answers as one that does not exist.
 * @throws HttpProblem not-found, ambiguous-machine.
 */
export function ownMachine(address: Address, { fleet }: GatewayServices): FleetMachineState {
  const [key, another] = keysOf(address, fleet);
  const state = key && fleet.get(key);
  if (state && another === undefined) return state;
  if (!state) throw noSuchMachine(address.machine);
  throw new HttpProblem('ambiguous-machine', {
    detail: `${address.machine} is at ${keysOf(address, fleet)
      .map((each) => placeOf(each).site)
      .join(', ')}.`,
    pointer: 'query:site',
    remedy: 'Say which by ?site=.',
  });
}

/** As the registry has it now, for a change that depends on it. @throws HttpProblem not-found. */
export async function registeredMachine(key: MachineKey, { machines }: GatewayServices): Promise<RegisteredMachine> {
  const registered = await machines.getMachine(key);
  if (!registered) throw noSuchMachine(placeOf(key).machine);
  return registered;
}

/** The key of a machine that need not exist. Without a site, the only site where there is one of that name. @throws HttpProblem. */
export function machineKeyOf(address: Address, services: GatewayServices): MachineKey {
  const { tenant, site, machine } = address;
  if (site !== undefined) return machineKey(tenant, site as SiteId, machine as MachineId);
  return ownMachine(address, services).key;
}

/** As {@link machineKeyOf}; undefined where that finds none or several, as after the machine was forgotten. */
export function machineIfFound(address: Address, { fleet }: GatewayServices): MachineKey | undefined {
  const [key, another] = keysOf(address, fleet);
  return another === undefined ? key : undefined;
}

function keysOf({ tenant, site, machine }: Address, fleet: GatewayServices['fleet']): readonly MachineKey[] {
  if (site === undefined) return fleet.named(tenant, machine);
  return [machineKey(tenant, site as SiteId, machine as MachineId)];
}

function noSuchMachine(machine: string): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `There is no machine ${machine}.`,
    remedy: 'GET /v1/machines lists those there are; GET /v1/quarantine those that wait to be adopted.',
  });
}
