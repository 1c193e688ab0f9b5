import type { TenantId } from '../domain/ids.ts';
import type { AcceptedOptions } from '../ports/event-stream.ts';

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
 * Items by tenant of a stream without parts, behind one that had parts: its own, which it always knows best, and what was settled of the
 * parts of the other.
 */
export function acceptedBehindParts(
  own: ReadonlyMap<TenantId, number>,
  settled: AcceptedOptions['settled'] = new Map(),
): Map<TenantId, number> {
  const totals = new Map(own);
  for (const [tenant, parts] of settled)
    for (const [part, items] of parts) if (part !== '') totals.set(tenant, (totals.get(tenant) ?? 0) + items);
  return totals;
}
