import { Buffer } from 'node:buffer';
import { derivedEvent } from '../derivation/derived-event.ts';
import type { MachineEvent, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError, type CallOptions } from '../errors.ts';
import type { FeaturesBody } from '../features/featurise.ts';
import type { Progress } from '../ports/event-stream.ts';
import type { MachineHistoryEvent } from '../ports/machine-registry.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { settlementOutcome } from '../settlement/outcomes.ts';
import {
  judgeSensor,
  type HealthPolicy,
  type SensorFeatures,
  type SensorHealth,
  type SensorHealthDependencies,
  type SensorJudgement,
} from './sensor-health.ts';

/**
 * What is remembered of one machine. It is saved with the progress it belongs to and with the predictions of its latest batch, before they are
 * published: after a crash the same predictions go out again, and none is computed from a state that has seen their features already.
 */
export interface MachineHealth {
  /** By sensor; at most {@link MAX_SENSORS}. */
  readonly sensors: Readonly<Record<string, SensorHealth>>;
  /** How far the features of this machine are in the state. */
  readonly progress: readonly Progress[];
  readonly outbox: readonly OutboxEntry[];
}

/** A prediction, and what its event takes from the event of its features. */
export interface OutboxEntry {
  readonly document: DerivedDocument;
  readonly origin: Pick<StampedEvent, 'acceptedAtMs' | 'imported' | 'traceparent'>;
}

export const NEW_MACHINE: MachineHealth = { sensors: {}, progress: [], outbox: [] };

/** Beyond it a machine's further sensors are not judged: a state must stay a small document. */
export const MAX_SENSORS = 256;
/** Publishers and incarnations of which the progress is kept; the oldest goes first. */
const MAX_PUBLISHERS = 64;

export interface MachineJudgement {
  readonly state: MachineHealth;
  /** Whether there is anything to save. */
  readonly isChanged: boolean;
  /** To be published once the state is saved. */
  readonly publish: readonly MachineEvent[];
  readonly skipped: Readonly<Record<SkipReason, number>>;
}

export type SkipReason = NonNullable<SensorJudgement['skipped']> | 'redelivered' | 'too-many-sensors';

/** Judges the features of one machine, in their order. Changes nothing it is given. @throws what {@link judgeSensor} and {@link openFeatures} throw. */
export async function judgeMachine(
  key: MachineKey,
  known: MachineHealth,
  events: readonly StampedEvent[],
  history: readonly MachineHistoryEvent[],
  policy: HealthPolicy,
  dependencies: SensorHealthDependencies,
  options: CallOptions = {},
): Promise<MachineJudgement> {
  const skipped = { late: 0, 'not-running': 0, redelivered: 0, 'too-many-sensors': 0 };
  const sensors = new Map(Object.entries(known.sensors));
  const outbox: OutboxEntry[] = [];
  let progress = known.progress;
  for (const event of events) {
    if (isWithin(progress, event)) {
      skipped.redelivered += 1;
      continue;
    }
    const features = openFeatures(event);
    progress = advanced(progress, event);
    const sensor = sensors.get(features.sensor);
    if (!sensor && sensors.size >= MAX_SENSORS) {
      skipped['too-many-sensors'] += 1;
      continue;
    }
    const judgement = await judgeSensor(sensor, features, history, policy, dependencies, options);
    sensors.set(features.sensor, judgement.state);
    if (judgement.skipped) skipped[judgement.skipped] += 1;
    if (judgement.prediction) outbox.push({ document: judgement.prediction, origin: originOf(event) });
  }
  const isChanged = progress !== known.progress;
  const state = isChanged ? { sensors: Object.fromEntries(sensors), progress, outbox } : known;
  // What is delivered again may be so because a crash came between saving and publishing.
  const again = skipped.redelivered > 0 ? known.outbox : [];
  const entries = isChanged ? [...again, ...outbox] : again;
  return { state, isChanged, publish: entries.map((entry) => predictionEvent(key, entry)), skipped };
}

/** The features that an event carries. @throws PortError invalid_argument when it carries none. */
function openFeatures(event: StampedEvent): SensorFeatures {
  const outcome = settlementOutcome(event);
  if (outcome.type === 'document' && outcome.document.kind === 'features' && outcome.document.sensor !== undefined) {
    const { document } = outcome;
    const { sensor } = outcome.document;
    const body = (typeof document.body === 'object' ? (document.body ?? {}) : {}) as Partial<FeaturesBody>;
    const prefix = `${sensor}.`;
    const values = Object.fromEntries(
      Object.entries(document.values).map(([name, value]) => [name.replace(prefix, ''), value]),
    );
    return { machine: event.key, sensor, document, body, values };
  }
  const detail = outcome.type === 'deadLettered' ? outcome.detail : 'it is no features document of a sensor';
  throw new PortError('invalid_argument', `event ${event.eventId} cannot be judged: ${detail}`);
}

/** A machine's state as it is saved. */
export function encodeMachineHealth(state: MachineHealth): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...state }));
}

/** @throws PortError failed_precondition when a newer release saved it, data_loss when it is damaged. */
export function decodeMachineHealth(key: MachineKey, bytes: Uint8Array): MachineHealth {
  let saved: { readonly format: number } & MachineHealth;
  try {
    saved = JSON.parse(Buffer.from(bytes).toString('utf8')) as typeof saved;
  } catch (error) {
    const detail = `the saved health state of ${key} is damaged; restore a backup`;
    throw new PortError('data_loss', detail, { cause: error });
  }
  const { format, ...state } = saved;
  if (format === FORMAT) return state;
  const detail = `the health state of ${key} has format ${format}, this release knows ${FORMAT}; start the newer release`;
  throw new PortError('failed_precondition', detail);
}

const FORMAT = 1;

function originOf({ acceptedAtMs, imported, traceparent }: StampedEvent): OutboxEntry['origin'] {
  return {
    acceptedAtMs,
    ...(imported !== undefined && { imported }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

function predictionEvent(key: MachineKey, { document, origin }: OutboxEntry): MachineEvent {
  return derivedEvent({ key, ...origin }, 'prediction', document);
}

function isWithin(progress: readonly Progress[], { source, epoch, seq }: StampedEvent): boolean {
  return progress.some((each) => each.source === source && each.epoch === epoch && seq <= each.seq);
}

function advanced(progress: readonly Progress[], { source, epoch, seq }: StampedEvent): readonly Progress[] {
  const others = progress.filter((each) => each.source !== source || each.epoch !== epoch);
  return [...others, { source, epoch, seq }].slice(-MAX_PUBLISHERS);
}
