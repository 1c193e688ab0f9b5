import { hash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { isPortError, PortError } from '../errors.ts';
import { LEDGERED_STREAMS, type MachineEvent, type StreamName } from '../domain/event.ts';
import { isName, machineRef, type MachineKey, type SensorId, type TenantId } from '../domain/ids.ts';
import type { Rejection } from '../domain/reading.ts';
import { waveformKey, waveformObject } from '../domain/waveform-object.ts';
import type { WaveformReference } from '../domain/waveform.ts';
import type { DeviceIntake, DeviceMessage, IntakeKind, IntakeReceipt } from '../ports/device-gateway.ts';
import type { EventStream, ReadableTail } from '../ports/event-stream.ts';
import type { MachineRegistry } from '../ports/machine-registry.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { Acknowledgement } from './acknowledgement.ts';
import type { AdmissionRules } from './admission-rules.ts';
import { BackPressure, intakeKindOf, type PressureReason } from './back-pressure.ts';
import { BacklogWatch, type ReadBacklogs } from './backlog-watch.ts';
import { IntakeCounters, NO_TENANT, type RefusalReason, type TenantIntakeCounts } from './intake-counters.ts';
import { MachineDirectory, type InFlightEvent, type MachineState, type RegisteredState } from './machine-directory.ts';
import { QuarantineReporter } from './quarantine-reporter.ts';
import { Receipts } from './receipts.ts';
import { rebuildReceipts } from './receipts-rebuild.ts';
import { rejection, type RejectionCode } from './rejection.ts';
import { SampleObjects } from './sample-objects.ts';
import { readTelemetry, type AdmittedMessage } from './telemetry.ts';
import { TurnPublisher, type AppendListener } from './turn-publisher.ts';
import { readWaveformJson, readWaveformRaw, type WaveformHeader, type WaveformMessage } from './waveform.ts';
import { WaveformAssembly, type AssemblyStep, type OpenWaveform } from './waveform-assembly.ts';
import type { PlaceInOrder } from './waveform-order.ts';

export interface IntakeOptions {
  /** A `ts` older than this comes by import only; at most the stream's retention. */
  readonly acceptAgeMs: number;
  readonly maxAheadMs: number;
  /** How long, and in what number, receipts are kept at least; see Receipts. */
  readonly receiptWindowMs: number;
  readonly maxReceiptsPerGeneration: number;
  /** How long a start waits for receipts to be read back from the log; the rest is read meanwhile. */
  readonly receiptWaitMs: number;
  /** Appended but not yet durable: above these intake takes no more. */
  readonly maxInFlightEvents: number;
  readonly maxInFlightBytes: number;
  /** Pause after a failed append. */
  readonly retryDelayMs: number;
  /** Durable but not yet worked off, by any consumer: see BacklogBounds. */
  readonly maxPendingEvents: number;
  readonly maxFullness: number;
  readonly probeEveryMs: number;
  readonly maxTelemetryBytes: number;
  readonly waveformCompleteWithinMs: number;
  readonly maxOpenWaveforms: number;
  readonly maxOpenWaveformsPerMachine: number;
}

export const INTAKE_DEFAULTS: IntakeOptions = {
  acceptAgeMs: 7 * 86_400_000,
  maxAheadMs: 5 * 60_000,
  receiptWindowMs: 10 * 60_000,
  maxReceiptsPerGeneration: 1_500_000,
  receiptWaitMs: 1000,
  maxInFlightEvents: 50_000,
  maxInFlightBytes: 16 * 1024 * 1024,
  retryDelayMs: 500,
  maxPendingEvents: 1_000_000,
  maxFullness: 0.75,
  probeEveryMs: 500,
  maxTelemetryBytes: 8 * 1024 * 1024,
  waveformCompleteWithinMs: 60_000,
  maxOpenWaveforms: 1024,
  maxOpenWaveformsPerMachine: 16,
};

export interface IntakeDependencies {
  readonly stream: EventStream;
  /** The same stream where its recent past can be read: without it, duplicates across a restart are looked up in the store. */
  readonly tail?: ReadableTail;
  /** Whether the store holds what came to another site, which this one was moved from: no log of this one tells of that. Without it there is none. */
  readonly isMoved?: () => Promise<boolean>;
  readonly machines: MachineRegistry;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** 16 random bytes of this process. */
  readonly receiptKey: Uint8Array;
  /** Unique to this process and short: part of the ids of rejections. */
  readonly incarnation: string;
  /** How far the consumers are behind; without it intake is bounded by its streams alone. */
  readonly backlogs?: ReadBacklogs;
  /** Hears of what went wrong without a caller to tell. */
  readonly onProblem: (what: string, error: unknown) => void;
}

/**
 * The use case behind every gateway: from a device's bytes to durable events. Validates, finds duplicates, puts samples into the object
 * store before their reference is published, and appends what it accepted, rejected or had before, so that each item of an acknowledged
 * message is in the ledger.
 */
export class Intake implements DeviceIntake {
  readonly #options: IntakeOptions;
  readonly #dependencies: IntakeDependencies;
  readonly #clock: Clock;
  readonly #pressure = new BackPressure();
  readonly #counters = new IntakeCounters();
  readonly #receipts: Receipts;
  readonly #machines: MachineDirectory;
  readonly #publisher: TurnPublisher;
  readonly #objects: SampleObjects;
  readonly #assembly: WaveformAssembly;
  readonly #quarantine: QuarantineReporter;
  readonly #backlogs: BacklogWatch | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  readonly #startedWallMs: number;
  readonly #startedMonotonicMs: number;
  #rejections = 0;
  #sweeping = false;

  constructor(dependencies: IntakeDependencies, options: IntakeOptions = INTAKE_DEFAULTS) {
    const { stream, machines, objects, clock, receiptKey, backlogs, onProblem } = dependencies;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#clock = clock;
    this.#startedWallMs = clock.nowMs();
    this.#startedMonotonicMs = clock.monotonicMs();
    this.#pressure.set('starting', true);
    const receiptBounds = { windowMs: options.receiptWindowMs, maxPerGeneration: options.maxReceiptsPerGeneration };
    this.#receipts = new Receipts({ key: receiptKey, ...receiptBounds }, this.#startedMonotonicMs);
    const shared = { registry: machines, receipts: this.#receipts, counters: this.#counters, clock, onProblem };
    this.#machines = new MachineDirectory(shared);
    this.#publisher = new TurnPublisher(stream, this.#pressure, options);
    this.#backlogs = backlogs && new BacklogWatch(backlogs, this.#pressure, options, onProblem);
    this.#quarantine = new QuarantineReporter(machines, onProblem);
    this.#objects = new SampleObjects(objects, clock);
    this.#assembly = new WaveformAssembly(this.#objects, clock, {
      completeWithinMs: options.waveformCompleteWithinMs,
      maxOpen: options.maxOpenWaveforms,
      maxOpenPerMachine: options.maxOpenWaveformsPerMachine,
    });
  }

  /** Reads the machines, the receipts and the open waveforms back; then intake is ready. */
  async start(): Promise<void> {
    await this.#machines.start();
    await this.#restoreReceipts();
    for (const waveform of await this.#assembly.recover()) {
      await this.#completeRecovered(waveform);
    }
    this.#sweepTimer = setInterval(() => void this.#sweep(), SWEEP_EVERY_MS);
    await this.#backlogs?.start();
    this.#pressure.set('starting', false);
  }

  /**
   * Waits a moment only: while the receipts of the last process are not complete, all that could have come before this one is looked up in
   * the store, which costs time and no correctness.
   */
  async #restoreReceipts(): Promise<void> {
    const { tail, isMoved = async () => false, onProblem } = this.#dependencies;
    const { maxAheadMs, receiptWindowMs, maxReceiptsPerGeneration, receiptWaitMs } = this.#options;
    this.#receipts.coverFrom(this.#startedWallMs + maxAheadMs);
    if (tail === undefined) return;
    // Where nobody can tell now, what may have come before the log's begin is looked up.
    const moved = isMoved().catch(() => true);
    const rebuild = async (): Promise<void> => {
      const { fromMs, movedFromMs } = await rebuildReceipts(this.#receipts, tail, {
        streams: LEDGERED_STREAMS,
        maxEvents: maxReceiptsPerGeneration,
        nowMs: this.#startedWallMs,
        sinceMs: this.#startedWallMs - receiptWindowMs,
        maxAheadMs,
      });
      this.#receipts.coverFrom(movedFromMs);
      void moved.then((isMovedHere) => isMovedHere || this.#receipts.coverFrom(fromMs));
    };
    const restored = rebuild().catch((error: unknown) => onProblem('reading the receipts back', error));
    let overdue: NodeJS.Timeout | undefined;
    const waited = new Promise((resolve) => {
      overdue = setTimeout(resolve, receiptWaitMs);
    });
    await Promise.race([restored, waited]);
    clearTimeout(overdue);
  }

  /** Takes no more and resolves when everything it took is durable or refused. */
  async stop(): Promise<void> {
    this.#pressure.set('stopping', true);
    clearInterval(this.#sweepTimer);
    this.#backlogs?.close();
    this.#machines.close();
    await this.#publisher.settle();
    this.#publisher.close();
  }

  isReady(kind?: IntakeKind): boolean {
    return this.#pressure.isOpen(kind);
  }

  whenReady(kind?: IntakeKind): Promise<void> {
    return this.#pressure.whenOpen(kind);
  }

  /** Why intake takes no messages of the kind; empty while it does. */
  refusalReasons(kind: IntakeKind): readonly PressureReason[] {
    return this.#pressure.reasons(kind);
  }

  /** The same in words, with the cause; undefined while intake takes messages of the kind. */
  problem(kind: IntakeKind): string | undefined {
    if (this.#pressure.isOpen(kind)) return undefined;
    const why = this.#pressure.reasons(kind).map((reason) => {
      const cause = this.#causeOf(reason, kind);
      return cause === undefined ? PRESSURE_IN_WORDS[reason] : `${PRESSURE_IN_WORDS[reason]}: ${cause}`;
    });
    return `intake takes no more ${IN_WORDS[kind]} for now: ${why.join('; ')}`;
  }

  /**
   * Why the newest append of a message of the kind failed, while intake takes the next to see whether it works again; undefined once one has
   * succeeded, and where {@link problem} says it.
   */
  appendProblem(kind: IntakeKind): string | undefined {
    const failure = this.#pressure.isOpen(kind) ? this.#publisher.failure(kind) : undefined;
    return (
      failure && `the newest ${IN_WORDS[kind]} was refused: ${PRESSURE_IN_WORDS['append-failing']}: ${failure.message}`
    );
  }

  /** Why waveforms fail one by one, although intake would take them; undefined while it can keep their samples. */
  samplesProblem(): string | undefined {
    return this.#objects.problem();
  }

  #causeOf(reason: PressureReason, kind: IntakeKind): string | undefined {
    if (reason === 'append-failing') return this.#publisher.failure(kind)?.message;
    return reason === 'backlog' ? this.#backlogs?.problem(kind) : undefined;
  }

  /** For gateways: traffic that was turned away without an acknowledgement. */
  refuse(reason: RefusalReason, tenant?: TenantId): void {
    this.#counters.tenant(tenant ?? NO_TENANT).refuse(reason);
  }

  counts(): ReadonlyMap<TenantId | typeof NO_TENANT, TenantIntakeCounts> {
    return this.#counters.snapshot();
  }

  /** Sizes of what intake holds in memory. */
  gauges(): Readonly<
    Record<'inFlightEvents' | 'inFlightBytes' | 'receipts' | 'receiptBytes' | 'openWaveforms', number>
  > {
    const { events, bytes } = this.#publisher.inFlight;
    return {
      inFlightEvents: events,
      inFlightBytes: bytes,
      receipts: this.#receipts.size,
      receiptBytes: this.#receipts.byteLength,
      openWaveforms: this.#assembly.size,
    };
  }

  accept(message: DeviceMessage): Promise<IntakeReceipt> {
    const kind = intakeKindOf(message.content);
    if (!this.#pressure.isOpen(kind)) return Promise.reject(this.#refusal(kind));
    const machine = this.#machines.find(message.machine);
    if (machine === undefined) return this.#acceptUnknown(message);
    return this.#acceptKnown(machine, message);
  }

  #refusal(kind: IntakeKind): PortError {
    return new PortError('resource_exhausted', `${this.problem(kind) ?? 'intake takes no more for now'}; try again`);
  }

  #acceptKnown(machine: RegisteredState, message: DeviceMessage): Promise<IntakeReceipt> {
    const { content } = message;
    if (content.kind !== 'telemetry') {
      return content.kind === 'unmapped'
        ? this.#rejectWhole('metrics', machine.key, content.rejection)
        : this.#acceptWaveform(machine, message);
    }
    if (content.payload.length > this.#options.maxTelemetryBytes) {
      const detail = `a telemetry payload takes at most ${this.#options.maxTelemetryBytes} bytes, got ${content.payload.length}`;
      return this.#rejectWhole('metrics', machine.key, rejection('too_large', '', detail));
    }
    const context = this.#context(machine, message);
    const reading = readTelemetry(content.payload, machine.catalogue, context.rules);
    const acknowledgement = new Acknowledgement();
    for (const admitted of reading.admitted) {
      const eventId = admitted.id ?? contentId(content.payload, admitted.index);
      this.#admitTelemetry(context, eventId, admitted, acknowledgement);
    }
    this.#appendRejections('metrics', machine.key, machine.counter, reading.rejections, acknowledgement);
    acknowledgement.done();
    return acknowledgement.promise;
  }

  #admitTelemetry(
    context: MessageContext,
    eventId: string,
    admitted: AdmittedMessage,
    acknowledgement: Acknowledgement,
  ): void {
    const { machine } = context;
    const items = admitted.items + admitted.rejections.length;
    if (this.#isDuplicate('metrics', machine, eventId, items, acknowledgement)) return;
    const event = this.#event(context, 'telemetry', eventId, admitted.items, admitted.payload, admitted.ts);
    const pending = new PendingEvent(this.#receipts, machine, event, admitted.ts, acknowledgement);
    this.#publisher.append('metrics', event, pending);
    this.#appendRejections('metrics', machine.key, machine.counter, admitted.rejections, acknowledgement);
  }

  /**
   * Whether the event is durable already, or on its way: then its items are appended as duplicates, after the first is known to be durable,
   * because the sender takes the acknowledgement as that of the first.
   */
  #isDuplicate(
    stream: StreamName,
    machine: MachineState,
    eventId: string,
    items: number,
    acknowledgement: Acknowledgement,
  ): boolean {
    const first = machine.inFlight.get(eventId);
    if (first === undefined) {
      if (!this.#receipts.has(machine.receipts, eventId)) return false;
      this.#appendDuplicate(stream, machine, eventId, items, acknowledgement);
      return true;
    }
    acknowledgement.expect();
    first.follow({
      durable: () => {
        this.#appendDuplicate(stream, machine, eventId, items, acknowledgement);
        acknowledgement.done();
      },
      failed: (error) => {
        acknowledgement.failed(error);
      },
    });
    return true;
  }

  #appendDuplicate(
    stream: StreamName,
    machine: MachineState,
    eventId: string,
    items: number,
    acknowledgement: Acknowledgement,
  ): void {
    const event = this.#plainEvent('duplicate', machine.key, eventId, items, NO_PAYLOAD);
    acknowledgement.expect();
    this.#publisher.append(stream, event, {
      durable: () => {
        machine.counter.duplicate += items;
        acknowledgement.duplicate += items;
        acknowledgement.done();
      },
      failed: (error) => {
        acknowledgement.failed(error);
      },
    });
  }

  #appendRejections(
    stream: StreamName,
    key: MachineKey,
    counter: MachineState['counter'],
    rejections: readonly Rejection[],
    acknowledgement: Acknowledgement,
  ): void {
    for (let at = 0; at < rejections.length; at += REJECTIONS_AN_EVENT) {
      const some = rejections.slice(at, at + REJECTIONS_AN_EVENT);
      const eventId = `~r${this.#dependencies.incarnation}.${(++this.#rejections).toString(36)}`;
      const event = this.#plainEvent('rejection', key, eventId, some.length, Buffer.from(JSON.stringify(some)));
      acknowledgement.expect();
      this.#publisher.append(stream, event, {
        durable: () => {
          for (const each of some) counter.reject(each.code as RejectionCode);
          acknowledgement.reject(some);
          acknowledgement.done();
        },
        failed: (error) => {
          acknowledgement.failed(error);
        },
      });
    }
  }

  #rejectWhole(stream: StreamName, key: MachineKey, refused: Rejection): Promise<IntakeReceipt> {
    const acknowledgement = new Acknowledgement();
    const counter = this.#counters.tenant(machineRef(key).tenant);
    this.#appendRejections(stream, key, counter, [refused], acknowledgement);
    acknowledgement.done();
    return acknowledgement.promise;
  }

  async #acceptUnknown(message: DeviceMessage): Promise<IntakeReceipt> {
    if (message.machine.split('/').length !== 3 || !message.machine.split('/').every(isName)) {
      throw new PortError('invalid_argument', 'a machine is named by tenant, site and machine');
    }
    const machine = await this.#machines.lookUp(message.machine);
    if (machine !== undefined) return this.#acceptKnown(machine, message);
    this.#quarantine.report(message, this.#clock.nowMs());
    const stream = intakeKindOf(message.content) === 'waveform' ? 'raw-waveform' : 'metrics';
    const detail = `nobody has described ${message.machine}: adopt it from the quarantine list, or correct the name`;
    return this.#rejectWhole(stream, message.machine, rejection('unknown_machine', '', detail));
  }

  async #acceptWaveform(machine: RegisteredState, message: DeviceMessage): Promise<IntakeReceipt> {
    const context = this.#context(machine, message);
    const read = readWaveformContent(message.content, context.rules);
    if ('code' in read) return this.#rejectWhole('raw-waveform', machine.key, read);
    const { sensor, waveform } = read;
    if (waveform.part === undefined) {
      const { header, bytes } = waveform;
      const reference = waveformReference(machine.key, sensor, header, bytes);
      return inPlace(machine, (place) => this.#storeWaveform(context, header, bytes, reference, place));
    }

    const { id } = waveform.header;
    if (id !== undefined && this.#receipts.has(machine.receipts, waveformEventId(sensor, id))) {
      return this.#acknowledgeDuplicate('raw-waveform', machine, waveformEventId(sensor, id), 1);
    }
    // Before it is known whether it is the last part: a waveform that comes right behind that must not overtake it.
    return inPlace(machine, async (place) =>
      this.#takeStep(context, await this.#assembly.add(machine.key, sensor, waveform), place),
    );
  }

  /** Settles what a part led to, and then lets its parts go. */
  async #takeStep(context: MessageContext, step: AssemblyStep, place: PlaceInOrder): Promise<IntakeReceipt> {
    if (step.type !== 'complete') place.leave();
    switch (step.type) {
      case 'waiting':
        return { accepted: 0, duplicate: 0, rejected: [] };
      case 'duplicate':
        return this.#acknowledgeDuplicate('raw-waveform', context.machine, step.eventId, 1);
      case 'rejected': {
        const receipt = await this.#rejectWhole('raw-waveform', context.machine.key, step.rejection);
        if (step.waveform !== undefined) await this.#assembly.discard(step.waveform);
        return receipt;
      }
      case 'complete': {
        const { waveform, header, bytes, partDigests } = step;
        const reference = waveformReference(context.machine.key, waveform.sensor, header, bytes);
        const receipt = await this.#storeWaveform(context, header, bytes, reference, place);
        const eventId = eventIdOf(header, reference);
        await this.#assembly.discard(waveform, partDigests && { eventId, partDigests });
        return receipt;
      }
    }
  }

  async #storeWaveform(
    context: MessageContext,
    header: WaveformHeader,
    bytes: Uint8Array,
    reference: WaveformReference,
    place: PlaceInOrder,
  ): Promise<IntakeReceipt> {
    const { machine } = context;
    const eventId = eventIdOf(header, reference);
    const acknowledgement = new Acknowledgement();
    if (this.#isDuplicate('raw-waveform', machine, eventId, 1, acknowledgement)) place.leave();
    else {
      const event = this.#event(context, 'waveform', eventId, 1, Buffer.from(JSON.stringify(reference)), header.ts);
      const pending = new PendingEvent(this.#receipts, machine, event, header.ts, acknowledgement);
      try {
        const object = waveformObject(machine.key, reference, bytes);
        const stored = this.#objects.put(reference.objectKey, object, { ifAbsent: true });
        await place.run(stored, () => {
          this.#publisher.append('raw-waveform', event, {
            durable: () => pending.durable(),
            failed: (error) => {
              machine.waveforms.breakOff();
              pending.failed(error);
            },
          });
        });
      } catch (error) {
        pending.failed(isPortError(error) ? error : new PortError('internal', 'storing samples', { cause: error }));
      }
    }
    acknowledgement.done();
    return acknowledgement.promise;
  }

  #acknowledgeDuplicate(
    stream: StreamName,
    machine: MachineState,
    eventId: string,
    items: number,
  ): Promise<IntakeReceipt> {
    const acknowledgement = new Acknowledgement();
    this.#appendDuplicate(stream, machine, eventId, items, acknowledgement);
    acknowledgement.done();
    return acknowledgement.promise;
  }

  /** A waveform whose last part came just before the process ended. One that was published already only leaves its parts to delete. */
  async #completeRecovered(waveform: OpenWaveform): Promise<void> {
    const machine = await this.#machines.lookUp(waveform.machine);
    const step = await this.#assembly.join(waveform);
    if (machine === undefined || step.type === 'waiting') return;
    if (step.type === 'complete') {
      const reference = waveformReference(machine.key, waveform.sensor, step.header, step.bytes);
      const eventId = eventIdOf(step.header, reference);
      if (this.#receipts.has(machine.receipts, eventId)) return this.#assembly.discard(waveform);
    }
    const nowMs = this.#nowMs();
    const context = { machine, nowMs, rules: this.#rules(nowMs, false), message: undefined };
    await inPlace(machine, (place) => this.#takeStep(context, step, place));
  }

  async #sweep(): Promise<void> {
    this.#receipts.advance(this.#clock.monotonicMs());
    if (this.#sweeping || !this.#pressure.isOpen('waveform')) return;
    this.#sweeping = true;
    try {
      for (const waveform of this.#assembly.expired()) {
        const seconds = this.#options.waveformCompleteWithinMs / 1000;
        const detail = `${waveform.received.size} of ${waveform.of} parts came within ${seconds} s: send all of them again`;
        const refused = rejection('incomplete_waveform', '/parts', detail);
        await this.#rejectWhole('raw-waveform', waveform.machine, refused);
        await this.#assembly.discard(waveform);
      }
    } catch (error) {
      this.#dependencies.onProblem('rejecting incomplete waveforms', error);
    } finally {
      this.#sweeping = false;
    }
  }

  #context(machine: RegisteredState, message: DeviceMessage): MessageContext {
    const nowMs = this.#nowMs();
    return { machine, message, nowMs, rules: this.#rules(nowMs, message.imported === true) };
  }

  /**
   * Whole milliseconds: the later of the wall clock and where it would be had nobody touched it since the start. A clock that was set back must not make the
   * platform reject what devices send meanwhile; and an event must not be noted as accepted long before its own time, because receipts are
   * read back from the log by the time of acceptance.
   */
  #nowMs(): number {
    const untouchedMs = this.#startedWallMs + (this.#clock.monotonicMs() - this.#startedMonotonicMs);
    return Math.max(this.#clock.nowMs(), Math.floor(untouchedMs));
  }

  #rules(nowMs: number, imported: boolean): AdmissionRules {
    const { maxAheadMs, acceptAgeMs } = this.#options;
    return { nowMs, maxAheadMs, acceptAgeMs, imported };
  }

  #event(
    { machine, message, nowMs }: MessageContext,
    kind: 'telemetry' | 'waveform',
    eventId: string,
    items: number,
    payload: Uint8Array,
    ts: number,
  ): MachineEvent {
    const event: Mutable<MachineEvent> = { eventId, kind, key: machine.key, items, acceptedAtMs: nowMs, payload };
    if (this.#receipts.mustVerify(machine.receipts, ts)) event.verifyStored = true;
    if (message?.imported === true) event.imported = true;
    if (message?.traceparent?.length === TRACEPARENT_CHARACTERS) event.traceparent = message.traceparent;
    return event;
  }

  #plainEvent(
    kind: 'rejection' | 'duplicate',
    key: MachineKey,
    eventId: string,
    items: number,
    payload: Uint8Array,
  ): MachineEvent {
    return { eventId, kind, key, items, acceptedAtMs: this.#nowMs(), payload };
  }
}

/** What the events of one message have in common. */
interface MessageContext {
  readonly machine: RegisteredState;
  readonly message: DeviceMessage | undefined;
  readonly nowMs: number;
  readonly rules: AdmissionRules;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const IN_WORDS: Readonly<Record<IntakeKind, string>> = { telemetry: 'telemetry', waveform: 'waveforms' };

const PRESSURE_IN_WORDS: Readonly<Record<PressureReason, string>> = {
  starting: 'it is being started',
  stopping: 'it is being stopped',
  'append-failing': 'events cannot be made durable',
  'in-flight': 'more waits for the disk than may wait',
  backlog: 'more waits to be worked off than may wait',
};
const NO_PAYLOAD = new Uint8Array(0);
const SWEEP_EVERY_MS = 1000;
/** Of W3C trace context, version 00; anything else is none. */
const TRACEPARENT_CHARACTERS = 55;
/** Keeps a rejection event below MAX_EVENT_BYTES whatever the rejected names look like. */
const REJECTIONS_AN_EVENT = 500;

/** An admitted event between its append and its durability. */
class PendingEvent implements AppendListener, InFlightEvent {
  readonly #receipts: Receipts;
  readonly #machine: MachineState;
  readonly #event: MachineEvent;
  readonly #ts: number;
  readonly #acknowledgement: Acknowledgement;
  readonly #w0: number;
  readonly #w1: number;
  readonly #w2: number;
  readonly #w3: number;
  #followers: AppendListener[] | undefined;

  /** Takes the hash that `receipts` has just computed for the event. */
  constructor(
    receipts: Receipts,
    machine: MachineState,
    event: MachineEvent,
    ts: number,
    acknowledgement: Acknowledgement,
  ) {
    const words = receipts.words;
    this.#receipts = receipts;
    this.#machine = machine;
    this.#event = event;
    this.#ts = ts;
    this.#acknowledgement = acknowledgement;
    this.#w0 = words[0]!;
    this.#w1 = words[1]!;
    this.#w2 = words[2]!;
    this.#w3 = words[3]!;
    machine.inFlight.set(event.eventId, this);
    acknowledgement.expect();
  }

  follow(listener: AppendListener): void {
    (this.#followers ??= []).push(listener);
  }

  durable(): void {
    this.#machine.inFlight.delete(this.#event.eventId);
    this.#receipts.add(this.#machine.receipts, this.#ts, this.#w0, this.#w1, this.#w2, this.#w3);
    this.#machine.counter.accepted += this.#event.items;
    this.#acknowledgement.accepted += this.#event.items;
    this.#acknowledgement.done();
    if (this.#followers !== undefined) for (const follower of this.#followers) follower.durable();
  }

  failed(error: PortError): void {
    this.#machine.inFlight.delete(this.#event.eventId);
    this.#receipts.doubt(this.#machine.receipts, this.#ts);
    this.#acknowledgement.failed(error);
    if (this.#followers !== undefined) for (const follower of this.#followers) follower.failed(error);
  }
}

/** 128 bits of SHA-256, so that a resend after a lost acknowledgement is recognised. */
function contentId(payload: Uint8Array, index: number | undefined): string {
  const digest = hash('sha256', payload, 'base64url').slice(0, 22);
  return index === undefined ? `~${digest}` : `~${digest}.${index}`;
}

function waveformEventId(sensor: string, id: string): string {
  return `waveform/${sensor}/${id}`;
}

/** Does with a waveform what is to be done in its place among those of its machine. */
async function inPlace(
  { waveforms }: MachineState,
  work: (place: PlaceInOrder) => Promise<IntakeReceipt>,
): Promise<IntakeReceipt> {
  const place = waveforms.enter();
  try {
    return await work(place);
  } catch (error) {
    place.fail();
    throw error;
  } finally {
    place.leave();
  }
}

/** By the device's id, or by the content where it gives none. */
function eventIdOf({ id }: WaveformHeader, { sensor, waveformId }: WaveformReference): string {
  return waveformEventId(sensor, id ?? `~${waveformId}`);
}

function readWaveformContent(
  content: DeviceMessage['content'],
  rules: AdmissionRules,
): { readonly sensor: SensorId; readonly waveform: WaveformMessage } | Rejection {
  if (content.kind !== 'waveform-json' && content.kind !== 'waveform-raw') {
    throw new PortError('internal', `a ${content.kind} message is no waveform`);
  }
  const { sensor, payload } = content;
  if (!isName(sensor)) {
    return rejection('invalid_sensor', '', 'a sensor name is 1 to 64 of A-Z a-z 0-9 _ . - and no reserved word');
  }
  const waveform =
    content.kind === 'waveform-json'
      ? readWaveformJson(payload, rules)
      : readWaveformRaw(content.description, payload, rules);
  return 'code' in waveform ? waveform : { sensor: sensor as SensorId, waveform };
}

function waveformReference(
  machine: MachineKey,
  sensor: SensorId,
  header: WaveformHeader,
  bytes: Uint8Array,
): WaveformReference {
  const { id, ts, sampleRateHz, unit, encoding, scale, rpm } = header;
  const sha256 = hash('sha256', bytes, 'hex');
  const described = {
    waveformId: hash('sha256', `${machine}/${sensor}/${id ?? `~${ts}/${sha256}`}`, 'hex').slice(0, 32),
    sensor,
    ts,
    sampleRateHz,
    unit,
    encoding,
    scale,
    sampleCount: bytes.length / (encoding === 'f32le' ? 4 : 2),
    ...(rpm === undefined ? {} : { rpm }),
    sha256,
  };
  return { ...described, objectKey: waveformKey(machine, described) };
}
