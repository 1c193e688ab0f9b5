import type { MachineEvent, StreamName } from '../domain/event.ts';
import { isPortError, PortError } from '../errors.ts';
import type { IntakeKind } from '../ports/device-gateway.ts';
import type { EventStream } from '../ports/event-stream.ts';
import type { BackPressure } from './back-pressure.ts';

/** Waits for one event's durability. Exactly one of the two is called, once. */
export interface AppendListener {
  durable(): void;
  failed(error: PortError): void;
}

export interface TurnPublisherOptions {
  /** Above these, appended but not yet durable, intake takes no more until half of it is durable. */
  readonly maxInFlightEvents: number;
  readonly maxInFlightBytes: number;
  /** After a failed append intake pauses this long, for what goes to that stream, before the next attempt shows whether appending works again. */
  readonly retryDelayMs: number;
}

/**
 * Gathers the events of one turn of the event loop into one publish a stream: whatever many connections delivered together shares one
 * group commit. The stream may have several publishes under way.
 */
export class TurnPublisher {
  readonly #stream: EventStream;
  readonly #pressure: BackPressure;
  readonly #options: TurnPublisherOptions;
  readonly #gathering = new Map<StreamName, Batch>();
  readonly #underWay = new Set<Promise<void>>();
  #scheduled = false;
  #inFlightEvents = 0;
  #inFlightBytes = 0;
  readonly #retryTimers = new Map<IntakeKind, NodeJS.Timeout>();
  readonly #failures = new Map<IntakeKind, PortError>();

  constructor(stream: EventStream, pressure: BackPressure, options: TurnPublisherOptions) {
    this.#stream = stream;
    this.#pressure = pressure;
    this.#options = options;
  }

  append(stream: StreamName, event: MachineEvent, listener: AppendListener): void {
    let batch = this.#gathering.get(stream);
    if (batch === undefined) {
      batch = { events: [], listeners: [], bytes: 0 };
      this.#gathering.set(stream, batch);
    }
    batch.events.push(event);
    batch.listeners.push(listener);
    batch.bytes += event.payload.length;
    this.#inFlightEvents++;
    this.#inFlightBytes += event.payload.length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#flush();
    });
  }

  /** Resolves when nothing that was appended waits for its durability any more. */
  async settle(): Promise<void> {
    while (this.#scheduled || this.#underWay.size > 0) {
      await Promise.all(this.#underWay);
      if (this.#scheduled) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  close(): void {
    for (const timer of this.#retryTimers.values()) clearTimeout(timer);
  }

  get inFlight(): { readonly events: number; readonly bytes: number } {
    return { events: this.#inFlightEvents, bytes: this.#inFlightBytes };
  }

  /** Why the newest append of a message of the kind failed; undefined once one has succeeded. */
  failure(kind: IntakeKind): PortError | undefined {
    return this.#failures.get(kind);
  }

  #flush(): void {
    this.#scheduled = false;
    for (const [stream, batch] of this.#gathering) {
      const publishing = this.#publish(stream, batch).finally(() => this.#underWay.delete(publishing));
      this.#underWay.add(publishing);
    }
    this.#gathering.clear();
    this.#weighInFlight();
  }

  async #publish(stream: StreamName, batch: Batch): Promise<void> {
    const failure = await this.#attempt(stream, batch.events);
    this.#inFlightEvents -= batch.events.length;
    this.#inFlightBytes -= batch.bytes;
    this.#weighInFlight();
    if (failure === undefined) {
      this.#failures.delete(kindOn(stream));
      for (const listener of batch.listeners) listener.durable();
    } else this.#report(stream, batch, failure);
  }

  /** Why an event is not durable, by its index; undefined when all are. */
  async #attempt(stream: StreamName, events: readonly MachineEvent[]): Promise<FailureOf | undefined> {
    try {
      const { failed } = await this.#stream.publish(stream, events);
      if (failed.length === 0) return undefined;
      const codes = new Map(failed.map(({ index, code }) => [index, code]));
      return (index) => {
        const code = codes.get(index);
        return code === undefined ? undefined : new PortError(code, `the event was not appended to ${stream}`);
      };
    } catch (error) {
      const failure = isPortError(error) ? error : new PortError('internal', 'the append failed', { cause: error });
      return () => failure;
    }
  }

  #report(stream: StreamName, batch: Batch, failureOf: FailureOf): void {
    const kind = kindOn(stream);
    this.#pause(kind);
    const gathered = this.#gathering.get(stream);
    this.#gathering.delete(stream);
    for (const [index, listener] of batch.listeners.entries()) {
      const error = failureOf(index);
      if (error === undefined) listener.durable();
      else {
        this.#failures.set(kind, error);
        listener.failed(error);
      }
    }
    if (gathered) this.#giveBack(stream, gathered);
  }

  /** What was gathered before anybody was told of the failure would overtake what failed. */
  #giveBack(stream: StreamName, { events, listeners, bytes }: Batch): void {
    this.#inFlightEvents -= events.length;
    this.#inFlightBytes -= bytes;
    const error = new PortError('unavailable', `what came before it was not appended to ${stream}: send it again`);
    for (const listener of listeners) listener.failed(error);
  }

  /** Shuts the gate for a while; the first append after it opens is the probe. */
  #pause(kind: IntakeKind): void {
    this.#pressure.set('append-failing', true, kind);
    clearTimeout(this.#retryTimers.get(kind));
    const reopen = (): void => this.#pressure.set('append-failing', false, kind);
    this.#retryTimers.set(kind, setTimeout(reopen, this.#options.retryDelayMs));
  }

  #weighInFlight(): void {
    const { maxInFlightEvents, maxInFlightBytes } = this.#options;
    if (this.#inFlightEvents >= maxInFlightEvents || this.#inFlightBytes >= maxInFlightBytes) {
      this.#pressure.set('in-flight', true);
    } else if (this.#inFlightEvents * 2 <= maxInFlightEvents && this.#inFlightBytes * 2 <= maxInFlightBytes) {
      this.#pressure.set('in-flight', false);
    }
  }
}

interface Batch {
  readonly events: MachineEvent[];
  readonly listeners: AppendListener[];
  bytes: number;
}

/** The messages that are appended to the stream. */
function kindOn(stream: StreamName): IntakeKind {
  return stream === 'raw-waveform' ? 'waveform' : 'telemetry';
}

type FailureOf = (index: number) => PortError | undefined;
