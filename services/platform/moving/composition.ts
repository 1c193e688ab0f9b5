import { createHash } from 'node:crypto';
import { streamWith } from '#core/delivery/stream-capabilities.ts';
import { movableHistoryOf } from '#core/moving/movable-history.ts';
import { movableOf } from '#core/moving/movable.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { PortName } from '#core/ports/tokens.ts';
import { LedgerReader } from '#services/api-gateway/ledger-reader.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { openRuntime, type Elsewhere, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { isToldByLedger } from '#services/timeseries-service/store-group.ts';
import { lagOf, STREAM_GROUPS } from '#services/shared/observability/stream-lag.ts';
import { historyKind, objectsKind, rowsKind, type SiteKind } from './site-kinds.ts';

/** A site while none of its services run, as the commands that move it see it. */
export interface StoppedSite extends AsyncDisposable {
  /** What it takes along, in the order of export and import. */
  readonly kinds: readonly SiteKind[];
  readonly elsewhere: Elsewhere;
  /** Of all tenants. */
  readonly ledgers: readonly LedgerView[];
  /** What is on a stream and not settled yet, in words. */
  readonly unsettled: readonly string[];
  /** Another wherever readings were taken in since. */
  readonly state: string;
}

const ROWS: Readonly<Record<string, PortName>> = {
  machines: 'machineRegistry',
  devices: 'deviceRegistry',
  rules: 'ruleStore',
  alarms: 'alarmJournal',
  audit: 'auditTrail',
  models: 'modelRegistry',
};

/** Opens the ports of a site in this process, which holds its data folder. @throws PortError failed_precondition where one cannot be moved. */
export async function openStoppedSite(configuration: Configuration): Promise<StoppedSite> {
  await using opened = new AsyncDisposableStack();
  const runtime = openRuntime(configuration, 'command-line', { publishes: [] });
  opened.defer(() => runtime.close());
  const kinds = await kindsOf(runtime);
  const stream = streamWith(await runtime.port('eventStream'), 'tribo site', 'MeasuredStream');
  const ledgers = await ledgersOf(runtime, stream);
  const unsettled = await unsettledOf(ledgers, stream);
  const parts = opened.move();
  return {
    ...{ kinds, elsewhere: runtime.elsewhere, ledgers, unsettled, state: stateOf(ledgers) },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function kindsOf({ port }: ServiceRuntime): Promise<readonly SiteKind[]> {
  const history = movableHistoryOf(await port('timeSeriesStore'));
  const kinds = [historyKind(history), objectsKind(await port('objectStore'))];
  for (const [kind, name] of Object.entries(ROWS)) kinds.push(rowsKind(kind, movableOf(await port(name), name)));
  return kinds;
}

async function ledgersOf({ port }: ServiceRuntime, stream: MeasuredStream): Promise<readonly LedgerView[]> {
  const [store, clock] = [await port('timeSeriesStore'), await port('clock')];
  return new LedgerReader({ store, stream, clock, onProblem: () => undefined }).ofAll();
}

async function unsettledOf(ledgers: readonly LedgerView[], stream: MeasuredStream): Promise<readonly string[]> {
  const pending = ledgers.filter((each) => each.pending > 0);
  // What the store has settled counts, also where it stopped before the stream was told.
  const groups = STREAM_GROUPS.filter(([name, group]) => !isToldByLedger(name, group));
  const behind = await Promise.all(
    groups.map(async ([name, group]) => {
      const events = (await lagOf(stream, name, group))?.events ?? 0;
      return events > 0 ? [`${events} events of ${name} for the group ${group}`] : [];
    }),
  );
  return [...pending.map((each) => `${each.pending} items of ${each.tenant}`), ...behind.flat()];
}

function stateOf(ledgers: readonly LedgerView[]): string {
  const sums = ledgers.map(({ tenant, accepted, stored, duplicate, rejected, deadLettered }) => [
    ...[tenant, accepted, stored, duplicate, rejected, deadLettered],
  ]);
  return createHash('sha256').update(JSON.stringify(sums)).digest('hex');
}
