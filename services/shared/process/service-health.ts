import type { ReadinessCheck, ReadinessReport } from '../http/readiness.ts';
import type { Links } from '../rpc/links.ts';
import { OPERATION_PORT, type ServedOperation } from '../rpc/operation-port.ts';
import { attentionOf, readinessOf, reasonsIn } from './service-address.ts';

/** How another service is: why it cannot do its work, and what somebody has to look at although it can. */
export interface ServiceHealth {
  readonly readiness: ReadinessCheck;
  readonly attention: ReadinessCheck;
}

/** In the data folder that services share, or where they run apart by asking each copy: while one is ready, the service is. */
export function healthOf(links: Links, dataDir: string, service: string): ServiceHealth {
  if (!links.isApart) return { readiness: readinessOf(dataDir, service), attention: attentionOf(dataDir, service) };
  const copies = links.copies<ServedOperation>({ service, port: OPERATION_PORT, name: service });
  const reports = async (): Promise<readonly (ReadinessReport | undefined)[]> =>
    Promise.all(copies().map(({ port }) => port.report().catch(() => undefined)));
  return {
    readiness: async () => {
      const each = await reports();
      if (each.some((report) => report?.status === 'ready')) return undefined;
      const [first] = each.filter((report) => report !== undefined);
      return first ? reasonsIn(first, ({ ok }) => !ok) : (links.problem(service) ?? 'it is being started');
    },
    attention: async () => {
      const each = await reports();
      const away = each.filter((report) => report?.status !== 'ready').length;
      const reasons = each.flatMap((report) => (report && reasonsIn(report, isAttention)) ?? []);
      const isPartly = away > 0 && away < each.length;
      const partly = isPartly ? [`${away} of ${each.length} copies are not ready`] : [];
      return [...partly, ...new Set(reasons)].join('; ') || undefined;
    },
  };
}

function isAttention({ ok, reason }: ReadinessReport['checks'][number]): boolean {
  return ok && reason !== undefined;
}
