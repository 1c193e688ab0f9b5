import type { FleetMachine, MachineDetail } from '#services/api-gateway/schemas/machines.ts';
import { allItems } from './all-items.ts';
import type { ApiClient } from './api-client.ts';
import type { Check } from './doctor-check.ts';

/** Machines that are looked at, the worst first: each is a request, of the 200 a second that the platform takes of one caller. */
const MACHINES_AT_MOST = 100;
const TOLD_AT_MOST = 10;
const WITHIN_MS = 10_000;

/** Whether rules and operating state can make something of the newest readings, by the readings' units: a limit that watches nothing looks like all is well. */
export async function unitsCheck(client: ApiClient): Promise<Check> {
  const machines = await allItems<FleetMachine>(client, '/v1/machines', MACHINES_AT_MOST);
  const found: string[] = [];
  for (const { site, machine } of machines) {
    const path = `/v1/machines/${encodeURIComponent(machine)}?site=${encodeURIComponent(site)}`;
    found.push(...problemsOf(await client.request<MachineDetail>('GET', path, undefined, {}, WITHIN_MS)));
  }
  const more = found.length > TOLD_AT_MOST ? `; and ${found.length - TOLD_AT_MOST} more` : '';
  const looked = machines.length === MACHINES_AT_MOST ? `the first ${MACHINES_AT_MOST}` : String(machines.length);
  return {
    name: 'units',
    ok: found.length === 0,
    detail: found.length === 0 ? `known in ${looked} machines` : found.slice(0, TOLD_AT_MOST).join('; ') + more,
    remedy:
      'send the unit’s UCUM code (degrees Celsius are Cel), declare the metric in another unit, or change the rule',
  };
}

function problemsOf({ site, machine, unjudged = [], operatingStateProblem }: MachineDetail): readonly string[] {
  const place = `${site}/${machine}`;
  return [
    ...(operatingStateProblem === undefined ? [] : [`${place}: its operating state is not known: ${operatingStateProblem}`]), // prettier-ignore
    ...unjudged.map(
      ({ rule, metric, readingUnit, ruleUnit }) =>
        `${place}: rule ${rule} does not judge ${metric}, whose ${readingUnit} does not convert to ${ruleUnit}`,
    ),
  ];
}
