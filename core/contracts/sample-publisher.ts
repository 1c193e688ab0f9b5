import type { EventKind, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { EventOutcome } from '../ports/time-series-store.ts';

export const T0 = Date.UTC(2026, 0, 15, 12);
export const press = 'acme/akron/press-7' as MachineKey;

/** Outcomes as a store is given them. It stamps events densely, and counts items by tenant as the stream does. */
export class Publisher {
  readonly source: string;
  readonly epoch: number;
  #seq = 0;
  readonly #items = new Map<string, number>();

  constructor(source = 'edge-1', epoch = 1) {
    this.source = source;
    this.epoch = epoch;
  }

  event(kind: EventKind, items: number, overrides: Partial<StampedEvent> = {}): StampedEvent {
    const key = overrides.key ?? press;
    const tenant = key.split('/')[0]!;
    const cumulativeItems = (this.#items.get(tenant) ?? 0) + items;
    this.#items.set(tenant, cumulativeItems);
    this.#seq += 1;
    return {
      eventId: `${this.source}-${this.epoch}-${this.#seq}`,
      kind,
      key,
      items,
      acceptedAtMs: T0,
      payload: new Uint8Array([this.#seq % 256]),
      source: this.source,
      epoch: this.epoch,
      seq: this.#seq,
      cumulativeItems,
      ...overrides,
    };
  }

  readings(ts: number, metrics: Readonly<Record<string, number>>, overrides: Partial<StampedEvent> = {}): EventOutcome {
    const readings = Object.entries(metrics).map(([metric, value]) => ({ metric, value }));
    return { type: 'readings', event: this.event('telemetry', readings.length, overrides), ts, readings };
  }

  duplicate(items: number): EventOutcome {
    return { type: 'duplicate', event: this.event('duplicate', items) };
  }

  rejected(...codes: string[]): EventOutcome {
    const rejections = codes.map((code, i) => ({ code, pointer: `/metrics/${i}`, detail: `item ${i}` }));
    return { type: 'rejected', event: this.event('rejection', codes.length), rejections };
  }

  deadLettered(items: number, overrides: Partial<StampedEvent> = {}): EventOutcome {
    return {
      type: 'deadLettered',
      event: this.event('telemetry', items, overrides),
      code: 'undecodable_payload',
      detail: 'no JSON',
    };
  }

  waveform(waveformId: string, ts: number, sensor = 'de', overrides: Partial<StampedEvent> = {}): EventOutcome {
    const waveform = {
      waveformId,
      sensor,
      ts,
      sampleRateHz: 25_600,
      unit: 'g',
      encoding: 'f32le' as const,
      scale: 1,
      sampleCount: 4096,
      rpm: 1797,
      objectKey: `waveforms/${waveformId}`,
      sha256: 'ab'.repeat(32),
    };
    return { type: 'waveform', event: this.event('waveform', 1, overrides), waveform };
  }

  features(id: string, revision: number, ts: number, rms: number): EventOutcome {
    const document = {
      kind: 'features' as const,
      id,
      revision,
      ts,
      sensor: 'de',
      values: { 'de.rms': rms },
      units: { 'de.rms': 'mm/s' },
      body: { provenance: 'test', verdicts: [{ zone: 'B' }] },
    };
    return { type: 'document', event: this.event('features', 0), document };
  }
}
