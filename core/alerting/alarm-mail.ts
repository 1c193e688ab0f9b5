import type { AlarmPart } from '../domain/alarm.ts';
import { machineRef } from '../domain/ids.ts';
import type { AlarmNotice } from '../ports/alarm-journal.ts';

export interface AlarmMail {
  readonly subject: string;
  readonly text: string;
}

/** An alarm as a mail: subject `Anomaly Detected: {machine}`, the body JSON with an indent of 2, what a person needs first on top. */
export function alarmMail({ change, alarm }: AlarmNotice): AlarmMail {
  const { tenant, site, machine } = machineRef(alarm.machine);
  const body = {
    machine,
    title: alarm.title,
    priority: alarm.priority,
    raisedAt: new Date(alarm.raisedAtMs).toISOString(),
    reasons: alarm.parts.filter((part) => part.active).map(reasonOf),
    consequence: alarm.consequence,
    response: alarm.response,
    change,
    state: alarm.state,
    alarm: alarm.id,
    site,
    tenant,
  };
  return { subject: `Anomaly Detected: ${machine}`, text: JSON.stringify(body, null, 2) };
}

function reasonOf({ message, rule, model, metric, sensor, value, limit, unit, window, waveformId }: AlarmPart) {
  return {
    message,
    ...(model ? { model } : { rule }),
    ...(metric !== undefined && { metric }),
    ...(sensor !== undefined && { sensor }),
    ...(value !== undefined && { value }),
    ...(limit !== undefined && { limit }),
    ...(unit !== undefined && { unit }),
    from: new Date(window.fromMs).toISOString(),
    to: new Date(window.toMs).toISOString(),
    ...(waveformId !== undefined && { spectrum: `/v1/waveforms/${encodeURIComponent(waveformId)}/spectrum` }),
  };
}
