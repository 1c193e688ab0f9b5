import type { Socket } from 'node:net';
import mqttPacket from 'mqtt-packet';
import type { Clock } from '#core/clock.ts';
import { DeviceAccess, type ForeignTopic } from '#core/ingestion/device-access.ts';
import type { DeviceTopic } from '#core/ingestion/topics.ts';
import type { Device } from '#core/ports/device-registry.ts';
import { FrameLimiter, type FrameLimits } from './frame-limiter.ts';

/** What a connection needs from the gateway that holds it. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly frameLimits: FrameLimits;
  readonly maxInFlightMessages: number;
  readonly maxInFlightBytes: number;
  /** False while nothing may be read from any connection. */
  mayRead(): boolean;
  /** False while so much that intake refused is held that a connection with some of it is not read. */
  mayHoldMore(): boolean;
  /** The connection waits to read; the host calls `resume` when it may. */
  waits(connection: DeviceConnection): void;
  /** A packet too long or malformed; the connection is closed next. */
  refused(connection: DeviceConnection): void;
}

/**
 * One socket between the network and aedes. It bounds what is read, holds reading back without tripping either side's keep-alive, and
 * writes acknowledgements, many in one system call.
 *
 * Back-pressure: aedes pulls with `read()`, and gets nothing while intake takes no more or this connection has enough on its way; then TCP
 * slows the device down. A device that waits can't be heard, so its silence does not count against its keep-alive, and it is sent PINGRESP
 * unasked, because its own PINGREQ lies unread behind the data it has sent.
 */
export class DeviceConnection {
  readonly socket: Socket;
  readonly #host: ConnectionHost;
  readonly #limiter: FrameLimiter;
  #access: DeviceAccess | undefined;
  /** 0: the device asked for none. */
  keepAliveMs = 0;
  #lastReadMs: number;
  #lastUnaskedPingMs = 0;
  #blockedFromMs: number | undefined;
  /** Of its messages in flight, those that intake refused and that are offered again. */
  heldMessages = 0;
  #inFlightMessages = 0;
  #inFlightBytes = 0;
  #acknowledged: number[] = [];
  readonly #awaitingPuback = new Map<number, () => void>();
  #nextPacketId = 1;

  constructor(socket: Socket, host: ConnectionHost) {
    this.socket = socket;
    this.#host = host;
    this.#lastReadMs = host.clock.monotonicMs();
    this.#limiter = new FrameLimiter(host.frameLimits, (packetId) => this.#onPuback(packetId));
    this.#interposeOnRead();
  }

  get device(): Device | undefined {
    return this.#access?.device;
  }

  /** Undefined until somebody authenticated. */
  get access(): DeviceAccess | undefined {
    return this.#access;
  }

  /** Who authenticated, or who it is after its bindings changed. */
  identify(device: Device): void {
    this.#access = new DeviceAccess(device);
  }

  /** What the device may do with a topic. */
  resolve(topic: string): DeviceTopic | ForeignTopic {
    return this.#access?.resolve(topic) ?? 'foreign-topic';
  }

  get inFlightMessages(): number {
    return this.#inFlightMessages;
  }

  /** A message begins its way to durability. */
  begin(bytes: number): void {
    this.#inFlightMessages++;
    this.#inFlightBytes += bytes;
  }

  /** It is durable, or given up. */
  end(bytes: number): void {
    this.#inFlightMessages--;
    this.#inFlightBytes -= bytes;
    const { maxInFlightMessages, maxInFlightBytes } = this.#host;
    const isHalf = this.#inFlightMessages * 2 <= maxInFlightMessages && this.#inFlightBytes * 2 <= maxInFlightBytes;
    if (this.#blockedFromMs !== undefined && isHalf) this.resume();
  }

  /** Remembers a PUBACK to send; returns true for the first since {@link flushAcknowledgements}. */
  acknowledge(packetId: number): boolean {
    return this.#acknowledged.push(packetId) === 1;
  }

  flushAcknowledgements(): void {
    const packetIds = this.#acknowledged;
    this.#acknowledged = [];
    if (!this.socket.writable) return;
    const bytes = Buffer.allocUnsafe(packetIds.length * 4);
    for (const [index, packetId] of packetIds.entries()) bytes.writeUInt32BE(PUBACK_HEADER + packetId, index * 4);
    this.socket.write(bytes);
  }

  /** Sends a command; `delivered` is called on the device's PUBACK, or when it is written where the device subscribed with QoS 0. */
  sendCommand(topic: string, payload: Uint8Array, qos: 0 | 1, delivered: () => void): void {
    const packetId = this.#nextPacketId;
    this.#nextPacketId = (packetId % 65_535) + 1;
    const base = { cmd: 'publish', topic, payload: Buffer.from(payload), qos, dup: false, retain: false } as const;
    const packet = mqttPacket.generate(qos === 1 ? { ...base, messageId: packetId } : base);
    if (qos === 1) {
      this.#awaitingPuback.set(packetId, delivered);
      this.socket.write(packet);
    } else {
      this.socket.write(packet, (error) => {
        if (!error) delivered();
      });
    }
  }

  /** Reads on, where reading was held back. */
  resume(): void {
    if (this.#blockedFromMs === undefined) return;
    this.#blockedFromMs = undefined;
    // What aedes waits for before it reads; it drops the event while it is still busy with what it read before, and then reads by itself.
    this.socket.emit('readable');
  }

  /** Called every second or so: ends connections that are silent or frozen, and keeps those alive that are held back. */
  check(nowMs: number): void {
    if (this.#blockedFromMs !== undefined) {
      this.#lastReadMs = nowMs;
      if (this.socket.writableNeedDrain) {
        if (nowMs - this.#blockedFromMs > FROZEN_MS)
          this.socket.destroy(new ConnectionEnded('the device reads nothing'));
      } else if (this.keepAliveMs > 0 && nowMs - this.#lastSignOfLifeMs() >= this.keepAliveMs / 2) {
        this.#lastUnaskedPingMs = nowMs;
        this.socket.write(PINGRESP);
      }
    } else if (this.keepAliveMs > 0 && nowMs - this.#lastReadMs > this.keepAliveMs * 1.5) {
      this.socket.destroy(new ConnectionEnded('keep alive timeout'));
    }
  }

  /** Half a keep-alive is soon enough for every client that waits for a PINGRESP, and most pauses are shorter. */
  #lastSignOfLifeMs(): number {
    return Math.max(this.#lastUnaskedPingMs, this.#blockedFromMs ?? 0);
  }

  /** aedes pulls by `read()`: the one place where all bytes of the connection pass, with nothing copied. */
  #interposeOnRead(): void {
    const { socket } = this;
    const read = socket.read.bind(socket);
    socket.read = (size?: number): unknown => {
      if (size === 0) return read(0);
      const nowMs = this.#host.clock.monotonicMs();
      if (!this.#mayRead()) {
        this.#blockedFromMs ??= nowMs;
        return null;
      }
      const chunk = read(size) as Buffer | null;
      if (chunk === null) return null;
      this.#lastReadMs = nowMs;
      if (this.#limiter.admit(chunk)) return chunk;
      this.#host.refused(this);
      socket.destroy();
      return null;
    };
    socket.on('drain', () => this.resume());
  }

  #mayRead(): boolean {
    if (this.socket.writableNeedDrain) return false;
    const { maxInFlightMessages, maxInFlightBytes } = this.#host;
    if (this.#inFlightMessages >= maxInFlightMessages || this.#inFlightBytes >= maxInFlightBytes) return false;
    // Reads on when one of them has been taken.
    if (this.heldMessages > 0 && !this.#host.mayHoldMore()) return false;
    if (this.#host.mayRead()) return true;
    this.#host.waits(this);
    return false;
  }

  #onPuback(packetId: number): void {
    const delivered = this.#awaitingPuback.get(packetId);
    this.#awaitingPuback.delete(packetId);
    delivered?.();
  }
}

/** Why the gateway itself ended a connection; what was to be counted has been. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

/** PUBACK, two bytes follow: the packet id (MQTT 3.1.1, 3.4). */
const PUBACK_HEADER = 0x40020000;
const PINGRESP = Buffer.of(0xd0, 0);
const FROZEN_MS = 60_000;
