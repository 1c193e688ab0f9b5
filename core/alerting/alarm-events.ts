import { Buffer } from 'node:buffer';
import { derivedId } from '../derivation/derived-event.ts';
import type { MachineEvent } from '../domain/event.ts';
import { machineRef } from '../domain/ids.ts';
import type { AlarmChange, AlarmNotice, OutboxMessage } from '../ports/alarm-journal.ts';
import { machinePage } from './machine-page.ts';

/** The event on the stream `alarms` that tells of a journal entry; its payload is the {@link AlarmNotice} as JSON. */
export function alarmEvent({ id, machine, notice }: OutboxMessage<AlarmNotice>): MachineEvent {
  const { transition, recordedAtMs } = notice.entry;
  const traceparent = 'traceparent' in transition ? transition.traceparent : undefined;
  return {
    eventId: derivedId('alarm-event', '1', machine, [id]),
    kind: 'alarm',
    key: machine,
    items: 0,
    acceptedAtMs: recordedAtMs,
    payload: Buffer.from(JSON.stringify(notice)),
    ...(transition.type === 'activate' && transition.replayed && { imported: true }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

/** A CloudEvents 1.0 event in its JSON format, for what leaves the platform. At most {@link MAX_CLOUD_EVENT_BYTES}. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  /** `/tenants/{tenant}/sites/{site}/machines/{machine}`, or of a device `/tenants/{tenant}/devices/{device}`: unique together with `id`. */
  readonly source: string;
  readonly type: string;
  /** The id of the alarm, the device or the prediction. */
  readonly subject: string;
  /** When it was recorded, or since when it is so, RFC 3339. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: unknown;
}

export const MAX_CLOUD_EVENT_BYTES = 64 * 1024;

const TYPES: Readonly<Record<AlarmChange, string>> = {
  raised: 'io.tribo.alarm.raised',
  're-raised': 'io.tribo.alarm.raised',
  'part-added': 'io.tribo.alarm.changed',
  'part-returned': 'io.tribo.alarm.changed',
  returned: 'io.tribo.alarm.returned',
  acknowledged: 'io.tribo.alarm.acknowledged',
  cleared: 'io.tribo.alarm.cleared',
  silenced: 'io.tribo.alarm.silenced',
  unsilenced: 'io.tribo.alarm.unsilenced',
};

/** An alarm's change as a CloudEvent; with the origin of the page its data has a link to the machine there. Of an alarm too large for one, the data says how many parts were left out. */
export function alarmCloudEvent(id: string, { change, entry, alarm }: AlarmNotice, publicUrl?: string): CloudEvent {
  const { tenant, site, machine } = machineRef(alarm.machine);
  const eventWith = (parts: number): CloudEvent => ({
    specversion: '1.0',
    id,
    source: `/tenants/${tenant}/sites/${site}/machines/${machine}`,
    type: TYPES[change],
    subject: alarm.id,
    time: new Date(entry.recordedAtMs).toISOString(),
    datacontenttype: 'application/json',
    data: {
      change,
      tenant,
      site,
      ...(publicUrl !== undefined && { page: machinePage(publicUrl, alarm.machine) }),
      alarm: { ...alarm, machine, parts: alarm.parts.slice(0, parts) },
      ...(parts < alarm.parts.length && { partsLeftOut: alarm.parts.length - parts }),
      by: 'by' in entry.transition ? entry.transition.by : undefined,
      comment: 'comment' in entry.transition ? entry.transition.comment : undefined,
    },
  });
  let parts = alarm.parts.length;
  let event = eventWith(parts);
  while (parts > 1 && Buffer.byteLength(JSON.stringify(event)) > MAX_CLOUD_EVENT_BYTES) {
    parts >>= 1;
    event = eventWith(parts);
  }
  return event;
}
