import type { Clock } from '#core/clock.ts';
import { replayDeadLetter, stageOf, type ReplayDependencies } from '#core/derivation/replay-dead-letter.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { CallOptions } from '#core/errors.ts';
import { featurise, type FeaturiseDependencies } from '#core/features/featurise.ts';
import { OperatingPoints, READING_MAX_DISTANCE_MS } from '#core/features/operating-points.ts';
import { isAlarmNotice, type AlarmOutbox, type Notice, type OutboxMessage } from '#core/ports/alarm-journal.ts';
import type { DeadLetter } from '#core/ports/time-series-store.ts';
import { HttpProblem } from '../shared/http/problem.ts';
import { decodeCursor, encodeCursor } from './http/cursor.ts';
import type { DeadLetterDetail, DeadLetterView, ReplayResult } from './schemas/ledger.ts';
import type { ApiGatewayDependencies } from './services.ts';
import { placeOf } from './views.ts';

const MAX_PAYLOAD_SHOWN = 65_536;
const NOTIFICATION = 'notification:';
const SEARCH_PAGE = 1000;
const MAX_SEARCHED = 20_000;

export interface DeadLetterPage {
  readonly items: readonly DeadLetterView[];
  readonly nextCursor?: string;
}

/**
 * What no stage could process and no notifier could tell, in one list: first the events that the time-series store keeps for every stage, then
 * the notifications of the alarm journal's outbox.
 */
export class DeadLetterDesk {
  readonly #store: ApiGatewayDependencies['store'];
  readonly #outbox: Pick<AlarmOutbox, 'deadMessages' | 'retryDead'>;
  readonly #replaying: ReplayDependencies;

  constructor(dependencies: ApiGatewayDependencies, clock: Clock) {
    const { store, alarms, stream, features, alerting, objects, machines } = dependencies;
    this.#store = store;
    this.#outbox = alarms;
    const cache = { maxAgeMs: 1000, maxEntries: 1000 };
    const operatingPoints = new OperatingPoints(store, clock, { ...cache, maxDistanceMs: READING_MAX_DISTANCE_MS });
    const featurising: FeaturiseDependencies = {
      objects,
      operatingPoints,
      machine: (key, options) => machines.getMachine(key, options),
      history: (key, options) => machines.machineEvents(key, options),
    };
    this.#replaying = {
      store,
      stream: features ?? stream,
      featurise: (event, options) => featurise(event, featurising, options),
      judgeAgain: (event) => alerting.judgeAgain(event),
    };
  }

  async list(
    tenant: TenantId,
    { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
    options: CallOptions,
  ): Promise<DeadLetterPage> {
    const [source, position, id] = cursor === undefined ? FIRST : decodeCursor(LIST, cursor, PARTS);
    const events =
      source === 'events'
        ? await this.#store.deadLetters({ tenant, limit: limit + 1, ...(id !== '' && { after: id }) }, options)
        : [];
    if (events.length > limit) return eventPage(events.slice(0, limit));
    const room = limit - events.length;
    const after = source === 'notifications' && id !== '' ? { after: { createdAtMs: position, id } } : {};
    const messages = await this.#outbox.deadMessages({ tenant, limit: room + 1, ...after }, options);
    const items = [...events.map(eventView), ...messages.slice(0, room).map(messageView)];
    if (messages.length <= room) return { items };
    const last = messages[room - 1];
    return { items, nextCursor: encodeCursor(LIST, ['notifications', last?.createdAtMs ?? 0, last?.id ?? '']) };
  }

  async one(tenant: TenantId, id: string, options: CallOptions): Promise<DeadLetterDetail> {
    if (id.startsWith(NOTIFICATION)) return messageDetail(await this.#message(tenant, id, options));
    return eventDetail(await this.#event(tenant, id, options));
  }

  async replay(tenant: TenantId, id: string): Promise<ReplayResult> {
    if (id.startsWith(NOTIFICATION)) {
      const message = await this.#message(tenant, id, {});
      await this.#outbox.retryDead(message.id);
      return { id, outcome: 'queued' };
    }
    return { id, ...(await replayDeadLetter(await this.#event(tenant, id, {}), this.#replaying)) };
  }

  async #event(tenant: TenantId, id: string, options: CallOptions): Promise<DeadLetter> {
    const letter = await this.#store.deadLetter(tenant, id, options);
    if (letter) return letter;
    throw noSuchLetter(id);
  }

  async #message(tenant: TenantId, id: string, options: CallOptions): Promise<OutboxMessage> {
    let after: OutboxMessage | undefined;
    for (let searched = 0; searched < MAX_SEARCHED; searched += SEARCH_PAGE) {
      const page: readonly OutboxMessage[] = await this.#outbox.deadMessages(
        { tenant, limit: SEARCH_PAGE, ...(after && { after }) },
        options,
      );
      const found = page.find((each) => NOTIFICATION + each.id === id);
      if (found) return found;
      after = page.at(-1);
      if (page.length < SEARCH_PAGE) break;
    }
    throw noSuchLetter(id);
  }
}

const LIST = 'dead-letters';
const PARTS = ['string', 'number', 'string'] as const;
const FIRST = ['events', 0, ''] as const;

function eventPage(letters: readonly DeadLetter[]): DeadLetterPage {
  return { items: letters.map(eventView), nextCursor: encodeCursor(LIST, ['events', 0, letters.at(-1)?.id ?? '']) };
}

function eventView(letter: DeadLetter): DeadLetterView {
  const { id, machine, stream, event, code, detail, atMs } = letter;
  const { eventId, kind, items } = event;
  return { id, stage: stageOf(letter), ...placeOf(machine), stream, eventId, kind, items, code, detail, atMs };
}

function eventDetail(letter: DeadLetter): DeadLetterDetail {
  const { payload, acceptedAtMs } = letter.event;
  return { ...eventView(letter), acceptedAtMs, ...shown(payload) };
}

function messageView({
  id,
  machine,
  destination,
  notice,
  lastError,
  dueAtMs,
  attempts,
}: OutboxMessage): DeadLetterView {
  return {
    id: NOTIFICATION + id,
    stage: 'notification',
    ...placeOf(machine),
    stream: 'alarms',
    destination,
    eventId: id,
    kind: isAlarmNotice(notice) ? notice.change : `${notice.kind}-${notice.change}`,
    items: 0,
    code: lastError?.code ?? 'unknown',
    detail: `${titleOf(notice)}, not told after ${attempts} attempts: ${lastError?.detail ?? 'no reason was kept'}`,
    atMs: dueAtMs,
  };
}

function titleOf(notice: Notice): string {
  if (isAlarmNotice(notice)) return notice.alarm.title;
  if (notice.kind === 'device') return `Device ${notice.device} ${notice.change}`;
  return `Sensor ${notice.sensor} judged ${notice.verdict}`;
}

function messageDetail(message: OutboxMessage): DeadLetterDetail {
  const payload = Buffer.from(JSON.stringify(message.notice));
  return { ...messageView(message), acceptedAtMs: message.createdAtMs, ...shown(payload) };
}

function shown(payload: Uint8Array): { readonly payload: string; readonly payloadBytes: number } {
  const { buffer, byteOffset, byteLength } = payload;
  const text = Buffer.from(buffer, byteOffset, Math.min(byteLength, MAX_PAYLOAD_SHOWN)).toString('utf8');
  return { payload: text, payloadBytes: byteLength };
}

function noSuchLetter(id: string): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `There is no dead letter ${id}.`,
    remedy: 'GET /v1/dead-letters lists those there are; one that was replayed is no longer among them.',
  });
}
