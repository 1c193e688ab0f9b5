import type { PeriodFigures } from '#core/alerting/alarm-figure-reader.ts';
import type { Alarm, AlarmPart, JournalEntry } from '#core/domain/alarm.ts';
import { machineRef, type MachineKey } from '#core/domain/ids.ts';
import type { VersionedRule } from '#core/domain/rule.ts';
import { BYTES_PER_SAMPLE } from '#core/domain/waveform.ts';
import type { FeaturesBody } from '#core/features/featurise.ts';
import type { StoredDocument, StoredWaveform } from '#core/ports/time-series-store.ts';
import type { AlarmFiguresView, AlarmPartView, AlarmView, JournalEntryView } from './schemas/alarms.ts';
import type { RuleView } from './schemas/rules.ts';
import type { WaveformMetadata } from './schemas/telemetry.ts';
import type { IsoVerdict, WaveformFeaturesView } from './schemas/waveforms.ts';

/** `site` and `machine` of a key, as answers name a machine: the tenant is the caller's own. */
export function placeOf(key: MachineKey): { readonly site: string; readonly machine: string } {
  const { site, machine } = machineRef(key);
  return { site, machine };
}

/** The given fields without those that are undefined. */
function present<Fields extends object>(fields: Fields): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

export function alarmView(alarm: Alarm): AlarmView {
  const { acknowledgement, silence } = alarm;
  return {
    id: alarm.id,
    ...placeOf(alarm.machine),
    title: alarm.title,
    consequence: alarm.consequence,
    response: alarm.response,
    priority: alarm.priority,
    severity: alarm.severity,
    state: alarm.state,
    active: alarm.active,
    acknowledged: acknowledgement !== undefined,
    replayed: alarm.replayed,
    raisedMs: alarm.raisedAtMs,
    changedMs: alarm.changedAtMs,
    ...present({
      returnedMs: alarm.returnedAtMs,
      acknowledgedBy: acknowledgement?.by,
      acknowledgedMs: acknowledgement?.atMs,
      comment: acknowledgement?.comment,
      shelvedUntilMs: silence && 'untilMs' in silence ? silence.untilMs : undefined,
    }),
    parts: alarm.parts.map(partView),
    version: alarm.version,
  };
}

function partView(part: AlarmPart): AlarmPartView {
  const { rule, model } = part;
  return {
    kind: part.kind,
    source: model ? { kind: 'model', ...model } : { kind: 'rule', ...rule },
    title: part.title,
    message: part.message,
    consequence: part.consequence,
    response: part.response,
    priority: part.priority,
    active: part.active,
    occurrences: part.occurrences,
    ...present({
      metric: part.metric,
      sensor: part.sensor,
      value: part.value,
      limit: part.limit,
      unit: part.unit,
      baseline: part.baseline,
      baselineFromMs: part.baselineWindow?.fromMs,
      baselineToMs: part.baselineWindow?.toMs,
      boundary: part.boundary,
      zone: part.zone,
      basis: part.basis,
      waveformId: part.waveformId,
      documentId: part.documentId,
    }),
    fromMs: part.window.fromMs,
    toMs: part.window.toMs,
  };
}

const CHATTERING_SHOWN = 50;

export function alarmFiguresView({ chattering, shares, ...figures }: PeriodFigures): AlarmFiguresView {
  const worst = chattering.slice(0, CHATTERING_SHOWN);
  return {
    ...figures,
    shares: { ...shares },
    chattering: worst.map(({ machine, partKey, times }) => ({ ...placeOf(machine), condition: partKey, times })),
  };
}

export function journalEntryView({ sequence, transition, recordedAtMs, stateAfter }: JournalEntry): JournalEntryView {
  return {
    sequence,
    action: actionOf(transition),
    atMs: recordedAtMs,
    ofMs: transition.atMs,
    by: authorOf(transition),
    ...('comment' in transition && { comment: transition.comment }),
    stateAfter,
  };
}

/** What happened, as the journal and the event stream name it. */
export function actionOf({ type }: JournalEntry['transition']): string {
  return ACTIONS[type];
}

const ACTIONS: Readonly<Record<JournalEntry['transition']['type'], string>> = {
  activate: 'raised',
  return: 'returned',
  acknowledge: 'acknowledged',
  shelve: 'shelved',
  unshelve: 'unshelved',
  suppress: 'suppressed',
  unsuppress: 'unsuppressed',
  'remove-from-service': 'removed-from-service',
  'return-to-service': 'returned-to-service',
  reset: 'reset',
  're-alarm': 're-alarmed',
};

function authorOf(transition: JournalEntry['transition']): string {
  if ('by' in transition) return transition.by;
  if (transition.type === 'return') return `${transition.cause} (${transition.partKey})`;
  const { model, rule } = transition.part;
  return model ? `model ${model.id} version ${model.version}` : `rule ${rule.id} version ${rule.version}`;
}

export function ruleView({ rule, version, updatedAtMs, updatedBy }: VersionedRule): RuleView {
  return { id: rule.id, version, updatedMs: updatedAtMs, updatedBy, rule };
}

export function waveformMetadata(waveform: StoredWaveform): WaveformMetadata {
  const { sampleCount, sampleRateHz } = waveform;
  return {
    id: waveform.waveformId,
    ...placeOf(waveform.machine),
    sensor: waveform.sensor,
    tsMs: waveform.ts,
    sampleRateHz,
    sampleCount,
    durationMs: (1000 * sampleCount) / sampleRateHz,
    unit: waveform.unit,
    encoding: waveform.encoding,
    scale: waveform.scale,
    ...present({ rpm: waveform.rpm }),
    sha256: waveform.sha256,
  };
}

/** Without a document: it is not there yet, or never will be. */
export function waveformFeatures(waveform: StoredWaveform, document: StoredDocument | undefined): WaveformFeaturesView {
  const body = document?.body as FeaturesBody | undefined;
  return {
    waveform: waveformMetadata(waveform),
    isoZone: body ? ({ ...body.isoZone } as IsoVerdict) : NOT_COMPUTED,
    operatingState: body?.operatingState ?? 'unknown',
    values: document?.values ?? {},
    units: document?.units ?? {},
    problems: [...(body?.problems ?? [])],
    provenance: { ...body?.provenance },
  };
}

const NOT_COMPUTED: IsoVerdict = {
  verdict: 'none',
  codes: ['no_features'],
  reason: 'its features are not computed yet, or could not be: then it is among the dead letters',
};

export function bytesOf(waveform: StoredWaveform): number {
  return waveform.sampleCount * BYTES_PER_SAMPLE[waveform.encoding];
}
