import { PortError } from '../errors.ts';
import { BackPressure, intakeKindOf } from '../ingestion/back-pressure.ts';
import type {
  DeviceIntake,
  DeviceMessage,
  DevicePresence,
  IntakeKind,
  IntakeReceipt,
  PresenceListener,
} from '../ports/device-gateway.ts';
import { until } from './until.ts';

/** An intake that remembers, and can be told to refuse for a while or to take its time. */
export class RecordingIntake implements DeviceIntake, PresenceListener {
  /** What was offered, also in vain. */
  readonly offered: DeviceMessage[] = [];
  /** What was not refused, in the order in which it was offered. */
  readonly messages: DeviceMessage[] = [];
  readonly presences: DevicePresence[] = [];
  /** So many messages are refused. */
  refusals = 0;
  /** Until it resolves, what is taken is not durable; where it rejects, it never is. */
  held: PromiseWithResolvers<void> | undefined;
  /** What is taken is durable after this. */
  takesMs = 0;
  readonly #pressure = new BackPressure<'told'>();

  async accept(message: DeviceMessage): Promise<IntakeReceipt> {
    const { content } = message;
    const kept = { ...message, content: { ...content, payload: content.payload.slice() } };
    this.offered.push(kept);
    if (this.refusals > 0 || !this.isReady(intakeKindOf(content))) {
      this.refusals = Math.max(0, this.refusals - 1);
      throw new PortError('resource_exhausted', 'not now');
    }
    this.messages.push(kept);
    await this.held?.promise;
    if (this.takesMs > 0) await new Promise((resolve) => setTimeout(resolve, this.takesMs));
    return { accepted: 1, duplicate: 0, rejected: [] };
  }

  isReady(kind?: IntakeKind): boolean {
    return this.#pressure.isOpen(kind);
  }

  whenReady(kind?: IntakeKind): Promise<void> {
    return this.#pressure.whenOpen(kind);
  }

  /** Takes no more of the kind, or of any. */
  shut(kind?: IntakeKind): void {
    this.#pressure.set('told', true, kind);
  }

  open(kind?: IntakeKind): void {
    this.#pressure.set('told', false, kind);
  }

  presence(event: DevicePresence): void {
    this.presences.push(event);
  }

  payloads(): string[] {
    return this.messages.map(({ content }) => Buffer.from(content.payload).toString());
  }

  /** The presences, each as a line: by what, the machines, and whether they are there. */
  told(): string[] {
    return this.presences.map(
      ({ by, machines, online }) => `${by}: ${machines.join()} ${online ? 'online' : 'offline'}`,
    );
  }

  /** Resolves once so many messages came: where the provider acknowledges, that is later than the acknowledgement. */
  async received(count: number): Promise<void> {
    await until(() => this.messages.length >= count, `${count} messages reach intake`);
  }
}
