import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { machineRef, type MachineKey } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import { SentCommands } from '../../sent-commands.ts';
import { waitFor } from '../../wait-for.ts';
import { iotHubCall } from '../iot-hub-errors.ts';
import type { CloudToDeviceCalls, Feedback } from './client.ts';
import type { MachineDevices } from './machine-devices.ts';
import type { SentNotes } from './sent-notes.ts';

export interface CommandSenderParts {
  readonly calls: CloudToDeviceCalls;
  readonly devices: Pick<MachineDevices, 'of'>;
  /** The sender closes them. */
  readonly notes: SentNotes;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly maxRemembered: number;
  readonly onProblem: (what: string, error: unknown) => void;
}

/** The hub takes 64 KiB with all properties. */
const MAX_PAYLOAD_BYTES = 60 * 1024;
/** The hub keeps no message for longer. */
const MAX_KEPT_MS = 2 * 86_400_000;
const LISTEN_AGAIN_MS = 1_000;

/** Hands commands to the hub, which keeps them for the device until they expire, and tells what the hub says became of them. */
export class CommandSender {
  readonly #parts: CommandSenderParts;
  readonly #sent: SentCommands;
  readonly #closing = new AbortController();
  readonly #listening: Promise<void>;

  constructor(parts: CommandSenderParts) {
    this.#parts = parts;
    this.#sent = new SentCommands(parts.maxRemembered, parts.clock);
    this.#listening = this.#listen();
  }

  async send(machine: MachineKey, command: DeviceCommand, options: CallOptions): Promise<void> {
    throwIfAborted(options.signal);
    const { payload } = command;
    if (payload.length > MAX_PAYLOAD_BYTES)
      throw new PortError('invalid_argument', `a command takes at most ${MAX_PAYLOAD_BYTES} bytes`);
    this.#throwIfExpired(command);
    const devices = await this.#parts.devices.of(machine, options);
    if (devices.length === 0)
      throw new PortError('not_found', `no device speaks for ${machine}: bind one with tribo device add`);
    let areNotesAway = false;
    for (const { id } of devices) {
      const to = `${id} ${machine}`;
      await this.#sent.once(to, command, async () => {
        const { notes } = this.#parts;
        // Notes that did not answer for one device are not waited for again for the next.
        const isNoted = areNotesAway ? undefined : await notes.has(to, command, options);
        if (isNoted === true) return;
        areNotesAway = isNoted === undefined;
        // Looking up devices and notes takes its time.
        this.#throwIfExpired(command);
        await this.#sendTo(id, machine, command, options);
        notes.add(to, command);
      });
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const { calls, notes, timeoutMs } = this.#parts;
    await notes.close();
    // A connection that the hub leaves half open is not waited for.
    const closed = iotHubCall({ what: 'leave the hub', timeoutMs }, (stopped) => waitFor(calls.close(), stopped));
    await closed.catch((error: unknown) => this.#parts.onProblem('closing', error));
    await this.#listening;
  }

  #throwIfExpired({ expiresAtMs }: DeviceCommand): void {
    if (expiresAtMs <= this.#parts.clock.nowMs())
      throw new PortError('invalid_argument', 'the command has expired already');
  }

  async #sendTo(device: string, machine: MachineKey, command: DeviceCommand, { signal }: CallOptions): Promise<void> {
    const { calls, clock, timeoutMs } = this.#parts;
    const { id, payload } = command;
    const { site, machine: name } = machineRef(machine);
    const expiresAtMs = Math.min(command.expiresAtMs, clock.nowMs() + MAX_KEPT_MS);
    const message = { id, payload, expiresAtMs, properties: { machine: `${site}/${name}` } };
    const what = `send the command ${id} to device ${device}`;
    await iotHubCall({ what, timeoutMs, signal }, (stopped) => calls.send(device, message, stopped));
  }

  /** Begins again whenever the link or its connection ended; what the hub says meanwhile it keeps, for an hour. */
  async #listen(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#listenOnce(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#parts.onProblem('listening for what became of commands', error);
      });
      await sleep(LISTEN_AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #listenOnce(signal: AbortSignal): Promise<never> {
    const { calls, timeoutMs } = this.#parts;
    const { promise: ended, reject } = Promise.withResolvers<never>();
    // It may end when it is waited for no longer.
    ended.catch(() => undefined);
    const onFeedback = (records: readonly Feedback[]) => records.forEach((each) => this.#tell(each));
    const listener = { onFeedback, onEnd: reject };
    // The SDK says nothing more of a connection that is closed while it opens.
    const listen = (stopped: AbortSignal) => waitFor(calls.listen(listener, stopped), stopped);
    await iotHubCall({ what: 'listen for feedback', timeoutMs, signal }, listen);
    return waitFor(ended, signal);
  }

  #tell({ originalMessageId, deviceId, statusCode }: Feedback): void {
    if (statusCode === 'Success') return;
    const code = statusCode === 'Expired' ? 'deadline_exceeded' : 'failed_precondition';
    const error = new PortError(
      code,
      `device ${deviceId} did not take the command ${originalMessageId}: ${statusCode}`,
    );
    this.#parts.onProblem('sending commands', error);
  }
}
