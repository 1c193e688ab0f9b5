import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import { PortError } from '#core/errors.ts';
import type { FeaturesBody } from '#core/features/featurise.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { DerivedDocument, LatestValue } from '#core/ports/time-series-store.ts';
import { createRandom } from '#services/edge-simulator/signal/random.ts';
import { openEmbeddedPorts, type EmbeddedPorts } from '#test/support/embedded-ports.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryMachineRegistry } from '#test/support/memory-machine-registry.ts';
import { featureServiceConfigSchema } from './config.ts';
import { startFeatureService, type RunningFeatureService } from './feature-service.ts';

const TENANT = 'demo' as TenantId;
const SITE = 'akron' as SiteId;
const PRESS = machineKey(TENANT, SITE, 'press-7' as MachineId);
const PUMP = machineKey(TENANT, SITE, 'pump-2' as MachineId);
const NOW_MS = 1_795_222_800_000;
const RATE_HZ = 25_600;
const RPM = 1500;

const press = machineSchema.parse({
  id: 'press-7',
  class: 'press',
  powerKw: 75,
  nominalRpm: RPM,
  support: 'rigid',
  bearings: [
    { id: 'de', elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04 },
    { id: 'nde', elements: 8, elementDiameterMm: 15, pitchDiameterMm: 65 },
  ],
  sensors: [{ id: 'acc', kind: 'acceleration', unit: 'g', bearing: 'de' }],
});

/** A shaft at 25 Hz with a little deterministic roughness: 0.64 s, as long as the demo's. */
function samplesOf(amplitudeG: number, length = 16_384): Float32Array {
  const random = createRandom('noise');
  return Float32Array.from({ length }, (_, i) => {
    return amplitudeG * Math.sin((2 * Math.PI * (RPM / 60) * i) / RATE_HZ) + 0.02 * (2 * random.uniform() - 1);
  });
}

class Plant implements AsyncDisposable {
  readonly #ports: EmbeddedPorts;
  readonly stream: EventStream;
  readonly objects: ObjectStore;
  readonly machines = new MemoryMachineRegistry();
  readonly clock = new HeldClock(NOW_MS);
  readonly deadLetters: { eventId: string; code: string; detail: string }[] = [];
  readonly received: StampedEvent[] = [];
  latest: readonly LatestValue[] = [];
  #service: RunningFeatureService | undefined;

  private constructor(ports: EmbeddedPorts, stream: EventStream, objects: ObjectStore) {
    this.#ports = ports;
    this.stream = stream;
    this.objects = objects;
  }

  static async open(): Promise<Plant> {
    const ports = openEmbeddedPorts();
    const plant = new Plant(ports, await ports.get('eventStream'), await ports.get('objectStore'));
    await plant.machines.putMachine(TENANT, SITE, press);
    await plant.stream.declareGroup('features', 'test');
    await plant.stream.declareGroup('raw-waveform', 'compute');
    await plant.stream.subscribe('features', 'test', acknowledgeInto(plant.received), { maxBatchEvents: 100 });
    return plant;
  }

  async start(stream: EventStream = this.stream): Promise<RunningFeatureService> {
    this.#service = await startFeatureService(featureServiceConfigSchema.parse({}), {
      stream,
      objects: this.objects,
      machines: this.machines,
      readings: { latest: async () => this.latest },
      deadLetter: async ({ eventId }, reason) => void this.deadLetters.push({ eventId, ...reason }),
      clock: this.clock,
      logger: pino({ level: 'silent' }),
      metrics: new Registry(),
    });
    return this.#service;
  }

  /** Puts a waveform on the stream as the gateway does: samples first. */
  async send(id: string, change: Partial<WaveformReference> = {}, event: Partial<MachineEvent> = {}): Promise<void> {
    const bytes = new Uint8Array(samplesOf(0.5).buffer);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const objectKey = `waveforms/${sha256}`;
    await this.objects.put(objectKey, bytes, { ifAbsent: true });
    const waveform: WaveformReference = {
      waveformId: id,
      sensor: 'acc',
      ts: NOW_MS,
      sampleRateHz: RATE_HZ,
      unit: 'g',
      encoding: 'f32le',
      scale: 1,
      sampleCount: bytes.byteLength / 4,
      objectKey,
      sha256,
      ...change,
    };
    const payload = Buffer.from(JSON.stringify(waveform));
    const envelope = { eventId: id, kind: 'waveform', key: PRESS, items: 1, acceptedAtMs: NOW_MS + 5 } as const;
    await this.stream.publish('raw-waveform', [{ ...envelope, payload, ...event }]);
  }

  /** The documents of the first `count` distinct events. */
  async documents(count: number): Promise<readonly DerivedDocument[]> {
    const distinct = () => new Map(this.received.map((event) => [event.eventId, event]));
    await until(() => distinct().size >= count);
    return [...distinct().values()].map(documentOf);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service?.close();
    await this.#ports[Symbol.asyncDispose]();
  }
}

function documentOf({ payload }: StampedEvent): DerivedDocument {
  return JSON.parse(Buffer.from(payload).toString()) as DerivedDocument;
}

const bodyOf = (document: DerivedDocument | undefined) => document?.body as FeaturesBody;

describe('feature service', () => {
  it('turns each waveform into one features document with series, units, zone and provenance', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send('w1');
    const [document] = await plant.documents(1);
    expect(document).toMatchObject({
      kind: 'features',
      revision: 1,
      ts: NOW_MS,
      sensor: 'acc',
      units: { 'acc.rms_g': 'g', 'acc.velocity_rms_mm_s': 'mm/s', 'acc.crest_factor': '1' },
      body: {
        waveformId: 'w1',
        operatingState: 'running',
        machineRevision: 1,
        rpmFrom: 'machine',
        isoZone: { verdict: expect.stringMatching(/^[A-D]$/), group: 2, support: 'rigid' },
        provenance: { unit: 'g', sampleRateHz: RATE_HZ, samples: 16_384, rpm: RPM },
      },
    });
    // 0.5 g of amplitude at 25 Hz: 0.354 g, and 22.1 mm/s, RMS.
    expect(document?.values['acc.rms_g']).toBeCloseTo(0.3537, 3);
    expect(document?.values['acc.velocity_rms_mm_s']).toBeCloseTo((0.5 * 9806.65) / (2 * Math.PI * 25) / Math.SQRT2, 0);
    expect(Object.keys(document?.units ?? {})).toEqual(Object.keys(document?.values ?? {}));
  });

  it('hears only the bearing that the sensor sits at', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send('w1');
    await plant.send('w2', { sensor: 'elsewhere' });
    const [atBearing, elsewhere] = await plant.documents(2);
    expect(Object.keys(atBearing?.values ?? {})).not.toContain('acc.env_nde_bpfo_ratio');
    expect(Object.keys(elsewhere?.values ?? {})).toContain('elsewhere.env_nde_bpfo_ratio');
  });

  it('hands on when the edge accepted it, its trace, and that it was imported', async () => {
    await using plant = await Plant.open();
    await plant.start();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await plant.send('w1', {}, { imported: true, traceparent });
    await plant.documents(1);
    expect(plant.received[0]).toMatchObject({
      kind: 'features',
      key: PRESS,
      items: 0,
      acceptedAtMs: NOW_MS + 5,
      imported: true,
      traceparent,
    });
  });

  it('gives the same waveform the same id and values again, and other waveforms, sensors and machines other ids', async () => {
    await using plant = await Plant.open();
    await plant.start();
    const ids = async (count: number) => (await plant.documents(count)).map(({ id }) => id);
    await plant.send('w1');
    await plant.send('w2');
    await plant.send('w1', { sensor: 'acc-2' });
    await plant.send('w1', {}, { key: PUMP });
    expect(new Set(await ids(4)).size).toBe(4);
    await plant.send('w1');
    await until(() => plant.received.length === 5);
    const [first] = plant.received;
    expect(plant.received[4]?.eventId).toBe(first?.eventId);
    expect(plant.received[4]?.payload).toEqual(first?.payload);
  });

  it.each<{ what: string; rpm?: number; latest: Partial<LatestValue>[]; expected: object }>([
    {
      what: "the waveform's own speed first",
      rpm: 1480,
      latest: [{ value: 900 }],
      expected: ['waveform', 1480, 'running'],
    },
    { what: 'the newest reading next', latest: [{ value: 900 }], expected: ['reading', 900, 'running'] },
    { what: 'a reading that says it stands', latest: [{ value: 20 }], expected: ['reading', 20, 'stopped'] },
    { what: 'a reading of a drive in reverse', latest: [{ value: -900 }], expected: ['reading', 900, 'running'] },
    { what: 'a reading in Hz', latest: [{ value: 15, unit: 'Hz' }], expected: ['reading', 900, 'running'] },
    {
      what: 'a plain reading as r/min',
      latest: [{ value: 900, unit: undefined }],
      expected: ['reading', 900, 'running'],
    },
    { what: 'no reading in an unknown unit', latest: [{ value: 900, unit: 'rev' }], expected: ['machine', RPM, undefined] }, // prettier-ignore
    { what: 'no bad reading', latest: [{ value: 900, quality: 'bad' }], expected: ['machine', RPM, undefined] },
    {
      what: 'no reading of another time',
      latest: [{ value: 900, ts: NOW_MS - 600_000 }],
      expected: ['machine', RPM, undefined],
    },
    { what: 'the description last', latest: [], expected: ['machine', RPM, undefined] },
  ])('takes speed and operating state from $what', async ({ rpm, latest, expected }) => {
    await using plant = await Plant.open();
    const source = { from: 'threshold', metric: 'rpm', runningAbove: 100 } as const;
    await plant.machines.putMachine(TENANT, SITE, { ...press, operatingState: source });
    plant.latest = latest.map((each) => ({
      metric: 'rpm',
      ts: NOW_MS,
      value: 0,
      unit: '/min',
      quality: 'good',
      ...each,
    }));
    await plant.start();
    await plant.send('w1', rpm === undefined ? {} : { rpm });
    const body = bodyOf((await plant.documents(1))[0]);
    expect([body.rpmFrom, body.provenance.rpm, body.operatingState]).toEqual(expected);
    expect(body.provenance).toMatchObject({ rpmSource: body.rpmFrom });
    expect(body.provenance.rpmReadAtMs).toBe(body.rpmFrom === 'reading' ? NOW_MS : undefined);
  });

  it.each([
    [-2e6, '/min', 'the reading rpm = -2000000 is left out: no speed is above 1000000'],
    [25, 'rev', 'the reading rpm = 25 rev is left out: rev does not convert to /min'],
  ])('leaves a reading of %p %s out that can be no speed, and says so', async (value, unit, problem) => {
    await using plant = await Plant.open();
    await plant.machines.putMachine(TENANT, SITE, press);
    plant.latest = [{ metric: 'rpm', ts: NOW_MS, value, unit, quality: 'good' }];
    await plant.start();
    await plant.send('w1');
    const body = bodyOf((await plant.documents(1))[0]);
    expect(body).toMatchObject({ rpmFrom: 'machine', provenance: { rpm: RPM } });
    expect(body.problems).toEqual([problem]);
    expect(plant.deadLetters).toEqual([]);
  });

  it('follows a changed machine description', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send('w1');
    await plant.documents(1);
    await plant.machines.putMachine(TENANT, SITE, { ...press, powerKw: 400 });
    await plant.send('w2');
    const [before, after] = await plant.documents(2);
    expect(bodyOf(before).isoZone).toMatchObject({ group: 2 });
    expect(bodyOf(after)).toMatchObject({ isoZone: { group: 1 }, machineRevision: 2 });
  });

  it('marks waveforms of maintenance that was noted, and gives them no zone', async () => {
    await using plant = await Plant.open();
    await plant.start();
    const note = { key: PRESS, by: 'maria', text: '' };
    await plant.machines.addMachineEvent({ ...note, id: 's', kind: 'maintenance-start', atMs: NOW_MS });
    await plant.machines.addMachineEvent({ ...note, id: 'e', kind: 'maintenance-end', atMs: NOW_MS + 1000 });
    await plant.send('w1');
    await plant.send('w2', { ts: NOW_MS + 1000 });
    const [during, after] = await plant.documents(2);
    expect(bodyOf(during)).toMatchObject({
      operatingState: 'maintenance',
      isoZone: { verdict: 'none', codes: ['not_running'], reason: 'the machine is not running (maintenance)' },
    });
    expect(during?.values['acc.rms_g']).toBeGreaterThan(0);
    expect(bodyOf(after)).toMatchObject({ operatingState: 'running', isoZone: { group: 2 } });
  });

  it('leaves out a bearing that cannot be, and says so, rather than the waveform', async () => {
    await using plant = await Plant.open();
    const impossible = { ...press.bearings[0]!, elementDiameterMm: 50 };
    await plant.machines.putMachine(TENANT, SITE, { ...press, bearings: [impossible] });
    await plant.start();
    await plant.send('w1');
    const body = bodyOf((await plant.documents(1))[0]);
    expect(body.problems).toEqual([expect.stringContaining('bearing de is left out: elementDiameterMm')]);
  });

  it('computes what it can of a machine that is not registered', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send('w1', {}, { key: 'demo/akron/unknown' as MachineKey });
    const [document] = await plant.documents(1);
    expect(document?.values['acc.rms_g']).toBeGreaterThan(0);
    expect(bodyOf(document).isoZone).toMatchObject({ verdict: 'none' });
  });

  it('leaves what intake had before or rejected to the ledger: it is no dead letter', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send('again', {}, { kind: 'duplicate', payload: new Uint8Array(0) });
    await plant.send('refused', {}, { kind: 'rejection', payload: Buffer.from('[{"code":"too_large"}]') });
    await plant.send('good');
    expect(await plant.documents(1)).toHaveLength(1);
    expect(plant.deadLetters).toEqual([]);
  });

  it.each<{ what: string; change: Partial<WaveformReference>; event?: Partial<MachineEvent>; code: string }>([
    { what: 'has no samples in the object store', change: { objectKey: 'waveforms/gone' }, code: 'missing_object' },
    { what: 'has other samples than announced', change: { sha256: '0'.repeat(64) }, code: 'undecodable_waveform' },
    { what: 'has fewer samples than announced', change: { sampleCount: 99_999 }, code: 'undecodable_waveform' },
    { what: 'has a negative speed', change: { rpm: -5 }, code: 'undecodable_waveform' },
    { what: 'turns into NaN by its scale', change: { scale: 1e300 * 1e300 }, code: 'undecodable_payload' },
    { what: 'is no JSON', change: {}, event: { payload: Buffer.from('{"ts":') }, code: 'undecodable_payload' },
    { what: 'is another kind of event', change: {}, event: { kind: 'telemetry' }, code: 'undecodable_payload' },
  ])('dead-letters a waveform that $what, with the reason, and goes on', async ({ change, event, code }) => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send('poison', change, event);
    await plant.send('good');
    const [document, ...others] = await plant.documents(1);
    expect(bodyOf(document).waveformId).toBe('good');
    expect(others).toEqual([]);
    expect(plant.deadLetters).toEqual([{ eventId: 'poison', code, detail: expect.any(String) }]);
  });

  it('waits for a stream that is away, says so, and loses nothing', async () => {
    await using plant = await Plant.open();
    let isAway = true;
    const flaky: EventStream = {
      publish: async (name, events, options) => {
        if (isAway) throw new PortError('unavailable', 'the stream is away');
        return plant.stream.publish(name, events, options);
      },
      declareGroup: (name, group) => plant.stream.declareGroup(name, group),
      forgetGroup: (name, group) => plant.stream.forgetGroup(name, group),
      subscribe: (...given) => plant.stream.subscribe(...given),
      close: () => plant.stream.close(),
    };
    const { readiness } = await plant.start(flaky);
    const reason = () => readiness['features']?.();
    expect(reason()).toBeUndefined();
    await plant.send('w1');
    await until(() => reason() !== undefined);
    expect(reason()).toBe('the stream is away');
    isAway = false;
    await plant.documents(1);
    await until(() => reason() === undefined);
  });

  it('goes on after a restart where it stopped: every waveform has its features', async () => {
    await using plant = await Plant.open();
    const first = await plant.start();
    for (let i = 0; i < 40; i++) await plant.send(`w${i}`, { ts: NOW_MS + i });
    await until(() => plant.received.length > 0);
    await first.close();
    await plant.start();
    const documents = await plant.documents(40);
    expect(documents.map(({ ts }) => ts)).toEqual(Array.from({ length: 40 }, (_, i) => NOW_MS + i));
    expect(plant.deadLetters).toEqual([]);
  });
});
