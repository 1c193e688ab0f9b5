import type { AlarmPriority } from '#core/domain/rule.ts';
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

const RANKS = 12;

/** A fleet in order, worst first, with its totals. */
export interface FleetBoard {
  readonly byRank: readonly (readonly FleetMachine[])[];
  readonly totals: Fleet['totals'];
}

/** Orders the machines in one pass without sorting, as they come in order of key. */
export function fleetBoard(
  machines: Iterable<FleetMachineState>,
  at: { readonly nowMs: number; readonly staleAfterMs: number },
): FleetBoard {
  const byRank: FleetMachine[][] = Array.from({ length: RANKS }, () => []);
  for (const state of machines) {
    const machine = state.view(at);
    byRank[rankOf(machine)]!.push(machine);
  }
  const ordered = byRank.map(inOrder);
  return { byRank: ordered, totals: totalsOf(ordered) };
}

export function fleetPage(board: FleetBoard, filter: FleetFilter, refreshedMs: number): Fleet {
  const { byRank, totals } = isFilter(filter) ? filtered(board, filter) : board;
  const [afterRank, afterPlace] =
    filter.cursor === undefined ? [0, ''] : decodeCursor('fleet', filter.cursor, ['number', 'string']);
  const items: FleetMachine[] = [];
  let more = false;
  for (let rank = Math.max(0, afterRank); rank < RANKS && !more; rank++) {
    const machines = byRank[rank]!;
    const from = rank === afterRank ? firstAfter(machines, afterPlace) : 0;
    const room = filter.limit - items.length;
    items.push(...machines.slice(from, from + room));
    more = machines.length - from > room;
  }
  const last = items.at(-1);
  const nextCursor = more && last ? encodeCursor('fleet', [rankOf(last), placeKey(last)]) : undefined;
  return { items, ...(nextCursor !== undefined && { nextCursor }), totals, refreshedMs };
}

function isFilter({ site, status, search }: FleetFilter): boolean {
  return site !== undefined || status !== undefined || search !== undefined;
}

function filtered({ byRank }: FleetBoard, filter: FleetFilter): FleetBoard {
  const search = filter.search?.toLowerCase();
  const some = byRank.map((machines) => machines.filter((machine) => matches(machine, filter, search)));
  return { byRank: some, totals: totalsOf(some) };
}

function totalsOf(byRank: readonly (readonly FleetMachine[])[]): Fleet['totals'] {
  const totals = { machines: 0, critical: 0, warning: 0, ok: 0, unknown: 0, stale: 0 };
  for (const machines of byRank) {
    totals.machines += machines.length;
    for (const { health, stale } of machines) {
      totals[health.status]++;
      if (stale) totals.stale++;
    }
  }
  return totals;
}

/** Where the first machine after that place is, by halving. */
function firstAfter(machines: readonly FleetMachine[], place: string): number {
  let [low, high] = [0, machines.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (placeKey(machines[middle]!) <= place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** 0 is worst. Of the same priority, what nobody has acknowledged comes first. */
function rankOf({ health, openAlarms }: FleetMachine): number {
  const { highestPriority, unacknowledged } = openAlarms;
  const level = highestPriority === undefined ? WITHOUT_ALARM_RANK[health.status] : PRIORITY_RANK[highestPriority];
  return level * 2 + (unacknowledged > 0 ? 0 : 1);
}

const PRIORITY_RANK: Readonly<Record<AlarmPriority, number>> = { critical: 0, high: 1, medium: 2, low: 3 };
const WITHOUT_ALARM_RANK: Readonly<Record<FleetMachine['health']['status'], number>> = {
  critical: 1,
  warning: 3,
  unknown: 4,
  ok: 5,
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
