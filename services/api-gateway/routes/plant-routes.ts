import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { SiteId, TenantId } from '#core/domain/ids.ts';
import type { MachineRegistry, RegisteredMachine } from '#core/ports/machine-registry.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { conditional, etagOf, expectationOf, expectedVersion } from '../http/conditions.ts';
import { route, type Route } from '../http/route.ts';
import { plantQuerySchema, plantSchema, putPlantRequestSchema, putPlantResponseSchema } from '../schemas/machines.ts';

const TAG = 'Machines';
/** Bearings, sensors and metrics of 20,000 machines. */
const MAX_PLANT_BYTES = 32 * 2 ** 20;
const MACHINES_A_PAGE = 1000;

/** The machines of a site as one document, as a plant file describes them. */
export function plantRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/plant',
      tag: TAG,
      summary: 'All machines of a site as one description, which PUT takes back.',
      access: 'viewer',
      query: plantQuerySchema,
      response: { status: 200, description: 'The plant', schema: plantSchema, etag: true },
      handle: async ({ query, principal, signal }, { machines }) => {
        const site = query.site as SiteId;
        const present = await machinesAt(machines, principal.tenant, site, signal);
        return {
          json: { site, machines: [...present.values()].map(({ machine }) => machine) },
          headers: { etag: etagOf(plantVersion(present)) },
        };
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/plant',
      tag: TAG,
      summary:
        'Creates or replaces the machines that a plant’s description names, all or none; others are left alone. Replacing needs If-Match, with the ETag of the site’s plant.',
      access: 'engineer',
      body: { kind: 'json', schema: putPlantRequestSchema, maxBytes: MAX_PLANT_BYTES },
      response: {
        status: 200,
        description: 'The machines with their revisions; those that were so already keep theirs',
        schema: putPlantResponseSchema,
        etag: true,
      },
      handle: async (call, { machines, fleet }) => {
        const { body, signal } = call;
        const { tenant } = call.principal;
        if (body.tenant !== undefined && body.tenant !== tenant) throw foreignPlant(body.tenant);
        const site = body.site as SiteId;
        const plant = await machinesAt(machines, tenant, site, signal);
        const changes = body.machines
          .filter((machine) => !isDeepStrictEqual(plant.get(machine.id)?.machine, machine))
          .map((machine) => ({ machine, expectedRevision: plant.get(machine.id)?.revision ?? 0 }));
        const replaces = changes.some(({ expectedRevision }) => expectedRevision > 0);
        if (replaces || expectationOf(call) !== undefined) expectedVersion(call, plantVersion(plant));
        const put = await conditional(() => machines.putMachines(tenant, site, changes));
        for (const registered of put) {
          fleet.put(registered);
          plant.set(registered.machine.id, registered);
        }
        return {
          json: { site, machines: body.machines.map(({ id }) => ({ machine: id, revision: plant.get(id)!.revision })) },
          headers: { etag: etagOf(plantVersion(plant)) },
        };
      },
    }),
  ];
}

/** By id. */
async function machinesAt(
  machines: MachineRegistry,
  tenant: TenantId,
  site: SiteId,
  signal: AbortSignal,
): Promise<Map<string, RegisteredMachine>> {
  const found = new Map<string, RegisteredMachine>();
  for (let last: RegisteredMachine | undefined; ;) {
    const query = { tenant, site, limit: MACHINES_A_PAGE, ...(last && { after: last.key }) };
    const page = await machines.listMachines(query, { signal });
    for (const registered of page) found.set(registered.machine.id, registered);
    if (page.length < MACHINES_A_PAGE) return found;
    last = page.at(-1);
  }
}

/** 48 bits of a digest of all that the plant is: no machine counts the changes of a site. 0 where there is no machine. */
function plantVersion(plant: ReadonlyMap<string, RegisteredMachine>): number {
  if (plant.size === 0) return 0;
  const digest = createHash('sha256');
  for (const id of [...plant.keys()].sort()) digest.update(JSON.stringify(plant.get(id)));
  return digest.digest().readUIntBE(0, 6);
}

function foreignPlant(tenant: string): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail: `The plant is described for the tenant ${tenant}, which is not yours.`,
    pointer: '/tenant',
    remedy: 'Leave tenant out, or use a token of that tenant.',
  });
}
