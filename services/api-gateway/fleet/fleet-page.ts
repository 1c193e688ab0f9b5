import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import type { Fleet, FleetMachine } from '../schemas/machines.ts';
import type { FleetMachineState } from './fleet-machine-state.ts';

export interface FleetFilter {
  readonly site?: string | undefined;
  readonly status?: FleetMachine['health']['status'] | undefined;
  readonly search?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

const RANKS = 8;

/** A page of the machines, worst first: one pass over the fleet without sorting, as the machines come in order of key. */
export function fleetPage(
  machines: Iterable<FleetMachineState>,
  filter: FleetFilter,
  at: { readonly nowMs: number; readonly staleAfterMs: number },
  refreshedMs: number,
): Fleet {
  const byRank: FleetMachine[][] = Array.from({ length: RANKS }, () => []);
  const totals = { machines: 0, critical: 0, warning: 0, ok: 0, unknown: 0, stale: 0 };
  const search = filter.search?.toLowerCase();
  for (const state of machines) {
    const machine = state.view(at);
    if (!matches(machine, filter, search)) continue;
    totals.machines++;
    totals[machine.health.status]++;
    if (machine.stale) totals.stale++;
    byRank[rankOf(machine)]!.push(machine);
  }
  const [afterRank, afterPlace] =
    filter.cursor === undefined ? [-1, ''] : decodeCursor('fleet', filter.cursor, ['number', 'string']);
  const items: FleetMachine[] = [];
  let more = false;
  for (let rank = Math.max(0, afterRank); rank < RANKS && !more; rank++) {
    for (const machine of inOrder(byRank[rank]!)) {
      if (rank === afterRank && placeKey(machine) <= afterPlace) continue;
      if (items.length === filter.limit) {
        more = true;
        break;
      }
      items.push(machine);
    }
  }
  const last = items.at(-1);
  const nextCursor = more && last ? encodeCursor('fleet', [rankOf(last), placeKey(last)]) : undefined;
  return { items, ...(nextCursor !== undefined && { nextCursor }), totals, refreshedMs };
}

/** 0 is worst. Within a status, what nobody has acknowledged comes first. */
function rankOf({ health, openAlarms }: FleetMachine): number {
  return STATUS_RANK[health.status] * 2 + (openAlarms.unacknowledged > 0 ? 0 : 1);
}

const STATUS_RANK: Readonly<Record<FleetMachine['health']['status'], number>> = {
  critical: 0,
  warning: 1,
  unknown: 2,
  ok: 3,
};

/** Machines that were added since the start are at the end of the map, so the order is checked, and restored only where it is needed. */
function inOrder(machines: FleetMachine[]): readonly FleetMachine[] {
  for (let i = 1; i < machines.length; i++) {
    if (placeKey(machines[i - 1]!) > placeKey(machines[i]!)) {
      return machines.sort((a, b) => (placeKey(a) < placeKey(b) ? -1 : 1));
    }
  }
  return machines;
}

function placeKey({ site, machine }: FleetMachine): string {
  return `${site}/${machine}`;
}

function matches(machine: FleetMachine, { site, status }: FleetFilter, search: string | undefined): boolean {
  if (site !== undefined && machine.site !== site) return false;
  if (status !== undefined && machine.health.status !== status) return false;
  if (search === undefined) return true;
  return [machine.machine, machine.name, machine.line, machine.area].some((text) =>
    text?.toLowerCase().includes(search),
  );
}
