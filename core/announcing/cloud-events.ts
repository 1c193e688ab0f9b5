import { alarmCloudEvent, type CloudEvent } from '../alerting/alarm-events.ts';
import { machineRef, type MachineKey } from '../domain/ids.ts';
import { isAlarmNotice, type Notice } from '../ports/alarm-journal.ts';
import type { DeviceNotice, PredictionNotice } from './announcement.ts';

const MAX_MACHINES = 100;

/** What leaves the platform as a CloudEvent; with the origin of the page its data has a link there, where it is about one machine. */
export function cloudEvent(id: string, notice: Notice, publicUrl?: string): CloudEvent {
  if (isAlarmNotice(notice)) return alarmCloudEvent(id, notice, publicUrl);
  return notice.kind === 'device' ? deviceCloudEvent(id, notice) : predictionCloudEvent(id, notice);
}

function deviceCloudEvent(id: string, { change, device, machines, by, sinceMs }: DeviceNotice): CloudEvent {
  const [first] = machines;
  const tenant = first === undefined ? '' : machineRef(first).tenant;
  return {
    specversion: '1.0',
    id,
    source: `/tenants/${tenant}/devices/${device}`,
    type: `io.tribo.device.${change}`,
    subject: device,
    time: new Date(sinceMs).toISOString(),
    datacontenttype: 'application/json',
    data: {
      ...{ change, tenant, device, by },
      machines: machines.slice(0, MAX_MACHINES).map(placeOf),
      ...(machines.length > MAX_MACHINES && { machinesLeftOut: machines.length - MAX_MACHINES }),
    },
  };
}

function predictionCloudEvent(id: string, notice: PredictionNotice): CloudEvent {
  const { kind: _kind, change, machine: key, predictionId, ts, ...judged } = notice;
  const { tenant, site, machine } = machineRef(key);
  return {
    specversion: '1.0',
    id,
    source: `/tenants/${tenant}/sites/${site}/machines/${machine}`,
    type: `io.tribo.prediction.${change}`,
    subject: predictionId,
    time: new Date(ts).toISOString(),
    datacontenttype: 'application/json',
    data: { tenant, site, machine, ...judged },
  };
}

function placeOf(key: MachineKey): { readonly site: string; readonly machine: string } {
  const { site, machine } = machineRef(key);
  return { site, machine };
}
