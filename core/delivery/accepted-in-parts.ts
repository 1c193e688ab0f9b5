import type { TenantId } from '../domain/ids.ts';
import type { AcceptedOptions } from '../ports/event-stream.ts';
import type { ItemTotals } from './partitioned-log.ts';

/** Items by tenant over all parts of a stream: of each part what is known of it, or what was settled of it where that is more. */
export function acceptedInParts(
  parts: ReadonlyMap<string, ReadonlyMap<string, number>>,
  settled: AcceptedOptions['settled'] = new Map(),
): Map<TenantId, number> {
  const totals = new Map<TenantId, number>();
  const add = (tenant: string, items: number) =>
    totals.set(tenant as TenantId, (totals.get(tenant as TenantId) ?? 0) + items);
  for (const [tenant, own] of settled)
    for (const [part, items] of own) add(tenant, Math.max(items, parts.get(part)?.get(tenant) ?? 0));
  for (const [part, tenants] of parts)
    for (const [tenant, items] of tenants) if (settled.get(tenant as TenantId)?.has(part) !== true) add(tenant, items);
  return totals;
}

/**
 * The same of a log, whose partitions are its parts. One that is not empty says itself what it has had: where more was settled, the log has lost
 * events, and that must show.
 */
export function acceptedInPartitions(
  items: ReadonlyMap<number, ItemTotals>,
  settled: AcceptedOptions['settled'] = new Map(),
): Map<TenantId, number> {
  const parts = new Map([...items].map(([partition, each]) => [String(partition), each]));
  const ofOthers = [...settled].map(
    ([tenant, own]) => [tenant, new Map([...own].filter(([part]) => !parts.has(part)))] as const,
  );
  return acceptedInParts(parts, new Map(ofOthers));
}
