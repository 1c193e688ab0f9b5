import type { StampedEvent } from '#core/domain/event.ts';
import { isName, type DeviceId } from '#core/domain/ids.ts';
import { isRetryable } from '#core/errors.ts';
import type { DeviceAccess } from '#core/ingestion/device-access.ts';
import type { DeviceBindings } from '#core/ingestion/device-bindings.ts';
import type { RefusalReason } from '#core/ingestion/intake-counters.ts';
import type { DeviceIntake, DeviceMessage, GatewayHooks } from '#core/ports/device-gateway.ts';
import type { Device, DeviceRegistry } from '#core/ports/device-registry.ts';
import type { DeliveryBatch } from '#core/ports/event-stream.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { PatientLookups } from './patient-lookups.ts';

/** What a provider put into its log: a message, or another thing that a client did. */
export interface DeviceLogRecord {
  readonly kind: string;
  /** The client's id, which is a device's where the registry has it. */
  readonly device: string;
}

/** A record as the delivery sees it: one event. */
export interface DeviceLogEvent<Logged extends DeviceLogRecord> extends StampedEvent {
  readonly record: Logged;
}

export type LoggedMessage<Logged extends DeviceLogRecord> = Extract<Logged, { readonly kind: 'message' }>;
export type LoggedDeed<Logged extends DeviceLogRecord> = Exclude<Logged, { readonly kind: 'message' }>;

export interface DeviceLogIntakeParts<Logged extends DeviceLogRecord> extends Pick<
  GatewayHooks,
  'refuse' | 'onProblem'
> {
  readonly intake: DeviceIntake;
  readonly devices: Pick<DeviceRegistry, 'getDevice'>;
  readonly bindings: DeviceBindings;
  /** A message that intake refused is offered again after this. */
  readonly offerAgainMs: number;
  /** How long a batch waits for the registry; default 1 s. What it does not answer by then waits for it, and nothing else does. */
  readonly lookupPatienceMs?: number;
  /** Aborted where nobody waits any longer for what is under way. */
  readonly overdue: AbortSignal;
  /** Whether the message is for a machine that is not the device's, as far as is known. */
  readonly isForeign: (access: DeviceAccess, message: LoggedMessage<Logged>) => boolean;
  /** What the message is to intake, or why it is refused; undefined for one that is not for intake, which is done with. */
  readonly read: (access: DeviceAccess, message: LoggedMessage<Logged>) => DeviceMessage | RefusalReason | undefined;
  /** Does what follows from a registered device's deed. Of one device, one after another. */
  readonly tell: (device: Device, deed: LoggedDeed<Logged>) => Promise<void> | void;
}

/**
 * Offers to intake what devices sent through a cloud, which has authenticated and acknowledged them and keeps what they sent in a log, batch by batch.
 * What intake made durable, or is refused for good, is settled; the rest comes again. A registry that does not answer holds back the devices that it
 * has to be asked about, and the others for a moment.
 */
export class DeviceLogIntake<Logged extends DeviceLogRecord> {
  readonly #parts: DeviceLogIntakeParts<Logged>;
  readonly #strangers: PatientLookups<unknown>;
  readonly #doers: PatientLookups<Device | undefined>;

  constructor(parts: DeviceLogIntakeParts<Logged>) {
    this.#parts = parts;
    const { lookupPatienceMs = LOOKUP_PATIENCE_MS } = parts;
    this.#strangers = new PatientLookups('the device registry', lookupPatienceMs);
    this.#doers = new PatientLookups('the device registry', lookupPatienceMs);
  }

  /** Handles a batch of {@link DeviceLogEvent}. */
  async handle(batch: DeliveryBatch, stopped: AbortSignal): Promise<void> {
    const { intake, overdue, offerAgainMs } = this.#parts;
    if (!intake.isReady()) await orStopWaiting(intake.whenReady(), stopped);
    const records = batch.events.map((event) => (event as DeviceLogEvent<Logged>).record);
    const refusals = new Set<unknown>();
    const outcomes = await orStopWaiting(Promise.allSettled(this.#takeAll(records, refusals)), overdue);
    const failed = outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : []));
    if (failed.length === 0) return batch.ack();
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    this.#report(errors, refusals);
    const isIntakeBusy = errors.every((error) => refusals.has(error) && isRetryable(error));
    // All else waits longer from time to time.
    return batch.nack(failed, isIntakeBusy ? { delayMs: offerAgainMs } : {});
  }

  #takeAll(records: readonly Logged[], refusals: Set<unknown>): readonly Promise<void>[] {
    const lookups = this.#lookUpStrangers(records);
    const devices = new Map<string, Promise<Device | undefined>>();
    const told = new Map<string, Promise<void>>();
    return records.map((record) => {
      if (isMessage(record)) return this.#take(record, lookups.get(record.device), refusals);
      const { device } = record;
      const found = once(devices, device, () => this.#lookUp(device));
      const telling = (told.get(device) ?? Promise.resolve()).then(() =>
        this.#tell(record as LoggedDeed<Logged>, found),
      );
      told.set(
        device,
        telling.catch(() => undefined),
      );
      return telling;
    });
  }

  /** Of devices that were not heard of before, or seem to speak for another's machine. All of a device's messages wait for it: they keep their order. */
  #lookUpStrangers(records: readonly Logged[]): ReadonlyMap<string, Promise<unknown>> {
    const { bindings, isForeign, overdue } = this.#parts;
    const lookups = new Map<string, Promise<unknown>>();
    for (const record of records) {
      if (!isMessage(record) || !isName(record.device)) continue;
      const device = record.device as DeviceId;
      const access = bindings.known(device);
      if (access === undefined || isForeign(access, record))
        void once(lookups, device, () =>
          this.#strangers.answer(device, () => bindings.recheck(device, { signal: overdue })),
        );
    }
    return lookups;
  }

  /** Resolves once intake has made the message durable, or it is refused for good. */
  async #take(
    message: LoggedMessage<Logged>,
    lookup: Promise<unknown> | undefined,
    refusals: Set<unknown>,
  ): Promise<void> {
    const { bindings, intake, read, refuse } = this.#parts;
    if (lookup) await lookup;
    const access = bindings.known(message.device as DeviceId);
    const readAs = access === undefined ? 'bad-credentials' : read(access, message);
    if (typeof readAs === 'string') refuse(readAs, access?.device.tenant);
    if (typeof readAs !== 'object') return;
    try {
      await intake.accept(readAs);
    } catch (error) {
      refusals.add(error);
      throw error;
    }
  }

  async #lookUp(client: string): Promise<Device | undefined> {
    const { devices, overdue } = this.#parts;
    if (!isName(client)) return undefined;
    return this.#doers.answer(client, () => devices.getDevice(client as DeviceId, { signal: overdue }));
  }

  async #tell(deed: LoggedDeed<Logged>, found: Promise<Device | undefined>): Promise<void> {
    const device = await found;
    // Clients that are no devices come and go, too.
    if (device !== undefined) await this.#parts.tell(device, deed);
  }

  /** Of what may pass by itself, one error is enough; what intake will take later is none. */
  #report(errors: readonly unknown[], refusals: ReadonlySet<unknown>): void {
    const passing = errors.find((error) => isRetryable(error) && !refusals.has(error));
    const lasting = new Set(errors.filter((error) => !isRetryable(error)));
    for (const error of [...(passing === undefined ? [] : [passing]), ...lasting])
      this.#parts.onProblem('taking what devices sent', error);
  }
}

const LOOKUP_PATIENCE_MS = 1000;

function isMessage<Logged extends DeviceLogRecord>(record: Logged): record is LoggedMessage<Logged> {
  return record.kind === 'message';
}

/** One lookup a device, which whoever needs it awaits in turn. */
function once<Result>(
  lookups: Map<string, Promise<Result>>,
  device: string,
  look: () => Promise<Result>,
): Promise<Result> {
  const before = lookups.get(device);
  if (before !== undefined) return before;
  const found = look();
  found.catch(() => undefined);
  lookups.set(device, found);
  return found;
}
