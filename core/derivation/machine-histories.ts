import type { MachineKey } from '../domain/ids.ts';
import { readHistory, type MachineEventKind, type MachineHistory } from '../domain/machine-history.ts';
import type { CallOptions } from '../errors.ts';
import type { MachineHistoryEvent, MachineRegistry } from '../ports/machine-registry.ts';

const PAGE = 1000;

/** What the events of these kinds mean for each machine that has any; a few queries, however many machines there are. */
export async function machineHistories(
  machines: Pick<MachineRegistry, 'listMachineEvents'>,
  kinds: readonly MachineEventKind[],
  options?: CallOptions,
): Promise<ReadonlyMap<MachineKey, MachineHistory>> {
  const events = new Map<MachineKey, MachineHistoryEvent[]>();
  for (let after: MachineHistoryEvent | undefined; ;) {
    const page = await machines.listMachineEvents({ kinds, limit: PAGE, ...(after && { after }) }, options);
    for (const event of page) {
      const known = events.get(event.key);
      if (known) known.push(event);
      else events.set(event.key, [event]);
    }
    after = page.at(-1);
    if (page.length < PAGE) break;
    // Lets the event loop serve others: a page takes some milliseconds.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return new Map([...events].map(([key, ofMachine]) => [key, readHistory(ofMachine)]));
}
