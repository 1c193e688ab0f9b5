import type { AlarmPart } from '../domain/alarm.ts';
import { machineRef } from '../domain/ids.ts';
import type { AlarmNotice } from '../ports/alarm-journal.ts';
import { machinePage } from './machine-page.ts';

export interface AlarmMail {
  readonly subject: string;
  readonly text: string;
}

/**
 * An alarm as a mail: subject `Anomaly Detected: {machine}`, the body JSON with an indent of 2, what a person needs first on top. With the
 * origin of the page it has a link to the machine there, and those to spectra can be followed.
 */
export function alarmMail({ change, alarm }: AlarmNotice, publicUrl?: string): AlarmMail {
  const { tenant, site, machine } = machineRef(alarm.machine);
  const body = {
    machine,
    title: alarm.title,
    priority: alarm.priority,
    raisedAt: new Date(alarm.raisedAtMs).toISOString(),
    reasons: alarm.parts.filter((part) => part.active).map((part) => reasonOf(part, publicUrl)),
    ...(publicUrl !== undefined && { page: machinePage(publicUrl, alarm.machine) }),
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

function reasonOf(
  { message, rule, model, metric, sensor, value, limit, unit, window, waveformId }: AlarmPart,
  publicUrl = '',
) {
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
    ...(waveformId !== undefined && {
      spectrum: `${publicUrl}/v1/waveforms/${encodeURIComponent(waveformId)}/spectrum`,
    }),
  };
}
