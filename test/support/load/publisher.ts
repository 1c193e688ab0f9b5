import { connect, type Socket } from 'node:net';
import mqttPacket from 'mqtt-packet';

/** What one connection sends. Packets are made once and patched in place, so that the generator is far cheaper than what it loads. */
export interface PublisherOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
  /** Topics are taken in turn. */
  readonly topics: readonly string[];
  /** The last of them carries the message's counter: see {@link readingsOfMessage}. */
  readonly metrics: readonly string[];
  /** Begin of every message id; a dense counter of ten digits follows. */
  readonly idPrefix: string;
  /** Messages that may wait for their PUBACK. */
  readonly maxInFlight: number;
  /**
   * Messages a second, each due at a time of its own whatever became of those before it: one that could not be sent then counts its waiting
   * as latency, to within the 2 ms in which they are looked for. Undefined: as fast as acknowledgements allow.
   */
  readonly ratePerS?: number;
  /** Offers no more than this. */
  readonly maxMessages?: number;
  /** Time of the first reading of each topic, and from one to the next; absent: now. */
  readonly past?: { readonly fromMs: number; readonly stepMs: number };
  /** Called with the counter of each message that was acknowledged, and its latency since it was due. */
  readonly onAcknowledged?: (counter: number, latencyMs: number) => void;
}

export interface PublisherStats {
  /** What was due by the rate while the connection was there; without a rate what was sent. */
  readonly offered: number;
  readonly sent: number;
  /** Offered and not sent, because too many waited for their PUBACK or the broker no longer read from the socket. */
  readonly withheld: number;
  readonly acknowledged: number;
  /** Sent and not acknowledged when the connection ended. */
  readonly unanswered: number;
  readonly closedByPeer: boolean;
}

const COUNTER_DIGITS = 10;
const TS_DIGITS = 13;
const PUBACK = 0x40;
/** The gateway sends it unasked to a client that it holds back, so that the client does not take the silence for a dead broker. */
const PINGRESP = 0xd0;
const MAX_PACKET_ID = 65_535;
const SOCKET_HIGH_WATER_BYTES = 1 << 20;

interface Template {
  readonly packet: Buffer;
  readonly packetIdAt: number;
  readonly counterAt: number;
  /** Of the decimals of the last metric's value. */
  readonly valueAt: number;
  readonly tsAt: number;
  /** Of the last message: each message of a topic has a time of its own, or readings would be told apart by value alone. */
  lastTs: number;
}

/** One MQTT 3.1.1 connection that publishes telemetry with QoS 1 and counts acknowledgements; no library in the hot path. */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #socket: Socket;
  readonly #templates: Template[];
  /** When a message was due by the rate, or was sent where there is none. */
  readonly #latencyFromMs = new Float64Array(MAX_PACKET_ID + 1);
  readonly #counterOf = new Float64Array(MAX_PACKET_ID + 1);
  readonly #busy = new Uint8Array(MAX_PACKET_ID + 1);
  #nextPacketId = 1;
  #sent = 0;
  #acknowledged = 0;
  #inFlight = 0;
  #partial: Buffer = Buffer.alloc(0);
  #sending = false;
  #startedAtMs = 0;
  #stoppedAtMs: number | undefined;
  #closedByPeer = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: PublisherOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#templates = options.topics.map((topic) => makeTemplate(topic, options));
    socket.on('data', (data: Buffer) => this.#receive(data));
    socket.on('drain', () => this.#send());
    socket.on('error', () => (this.#closedByPeer = true));
    socket.on('close', () => {
      if (this.#sending) this.#closedByPeer = true;
      this.#stopSending();
    });
  }

  /** Connects and waits for the broker's CONNACK. @throws Error when it refuses. */
  static async open(options: PublisherOptions): Promise<Publisher> {
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    const { clientId, username, password } = options;
    socket.write(
      mqttPacket.generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        clientId,
        keepalive: 60,
        username,
        password: Buffer.from(password),
      }),
    );
    const answer = await new Promise<Buffer>((resolve, reject) => {
      socket.once('data', resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(`the broker closed the connection of ${clientId}`)));
    });
    if (answer[0] !== 0x20 || answer[3] !== 0)
      throw new Error(`the broker refused ${clientId} with code ${String(answer[3])}`);
    socket.removeAllListeners();
    return new Publisher(options, socket);
  }

  get stats(): PublisherStats {
    const offered = Math.max(this.#sent, this.#dueAt(this.#stoppedAtMs ?? performance.now()));
    return {
      ...{ offered, sent: this.#sent, withheld: offered - this.#sent },
      acknowledged: this.#acknowledged,
      unanswered: this.#inFlight,
      closedByPeer: this.#closedByPeer,
    };
  }

  start(): void {
    this.#sending = true;
    this.#startedAtMs = performance.now();
    if (this.#options.ratePerS !== undefined) this.#timer = setInterval(() => this.#send(), 2);
    this.#send();
  }

  /** Stops offering; resolves when everything in flight is acknowledged, the broker closed, or the time is over. */
  async stop(drainMs: number): Promise<PublisherStats> {
    // What is withheld in the end is so by the broker, and not because the generator had no turn.
    if (this.#options.ratePerS !== undefined && !this.#closedByPeer) while (this.#send() > 0);
    this.#stopSending();
    const until = performance.now() + drainMs;
    while (this.#inFlight > 0 && !this.#closedByPeer && !this.#socket.destroyed && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const { stats } = this;
    this.#socket.end(Buffer.from([0xe0, 0]));
    this.#socket.destroySoon();
    return stats;
  }

  #stopSending(): void {
    this.#sending = false;
    this.#stoppedAtMs ??= performance.now();
    clearInterval(this.#timer);
  }

  /** How many messages the rate asks for until then; none where there is no rate. */
  #dueAt(ms: number): number {
    const { ratePerS = 0, maxMessages = Infinity } = this.#options;
    return Math.min(Math.floor(((ms - this.#startedAtMs) / 1000) * ratePerS), maxMessages);
  }

  /** Returns how many it sent. */
  #send(): number {
    if (!this.#sending) return 0;
    const now = performance.now();
    const { maxInFlight, ratePerS, maxMessages = Infinity } = this.#options;
    const due = (ratePerS === undefined ? maxMessages : this.#dueAt(now)) - this.#sent;
    const count = Math.min(maxInFlight - this.#inFlight, due, 256);
    if (count < 1 || this.#socket.writableLength > SOCKET_HIGH_WATER_BYTES) return 0;
    const ts = Date.now();
    const packets: Buffer[] = [];
    for (let i = 0; i < count; i++) packets.push(this.#nextPacket(now, ts));
    this.#socket.write(Buffer.concat(packets));
    return count;
  }

  /** Everything that was to be offered has been. */
  get isDone(): boolean {
    return this.#sent >= (this.#options.maxMessages ?? Infinity);
  }

  #nextPacket(now: number, ts: number): Buffer {
    while (this.#busy[this.#nextPacketId]) this.#nextPacketId = (this.#nextPacketId % MAX_PACKET_ID) + 1;
    const id = this.#nextPacketId;
    this.#nextPacketId = (id % MAX_PACKET_ID) + 1;
    const template = this.#templates[this.#sent % this.#templates.length];
    if (!template) throw new RangeError('a publisher needs a topic');
    const { packet, packetIdAt, counterAt, valueAt, tsAt } = template;
    const { past } = this.#options;
    const round = Math.floor(this.#sent / this.#templates.length);
    packet.writeUInt16BE(id, packetIdAt);
    const counter = digitsOf(this.#sent);
    packet.write(counter, counterAt, 'latin1');
    packet.write(counter, valueAt, 'latin1');
    template.lastTs = past ? past.fromMs + round * past.stepMs : Math.max(ts, template.lastTs + 1);
    packet.write(String(template.lastTs), tsAt, 'latin1');
    this.#busy[id] = 1;
    this.#latencyFromMs[id] = this.#scheduledAt(this.#sent) ?? now;
    this.#counterOf[id] = this.#sent;
    this.#sent += 1;
    this.#inFlight += 1;
    return Buffer.from(packet);
  }

  /** When the message with that counter was due, by the rate. */
  #scheduledAt(counter: number): number | undefined {
    const { ratePerS } = this.#options;
    return ratePerS === undefined ? undefined : this.#startedAtMs + ((counter + 1) * 1000) / ratePerS;
  }

  #receive(data: Buffer): void {
    const bytes = this.#partial.length > 0 ? Buffer.concat([this.#partial, data]) : data;
    const now = performance.now();
    let at = 0;
    for (;;) {
      if (bytes[at] === PINGRESP && at + 2 <= bytes.length) {
        at += 2;
        continue;
      }
      if (at + 4 > bytes.length) break;
      if (bytes[at] !== PUBACK) throw new Error(`expected a PUBACK, got packet type ${String((bytes[at] ?? 0) >> 4)}`);
      const id = bytes.readUInt16BE(at + 2);
      at += 4;
      this.#busy[id] = 0;
      this.#inFlight -= 1;
      this.#acknowledged += 1;
      this.#options.onAcknowledged?.(this.#counterOf[id] ?? 0, Math.max(0, now - (this.#latencyFromMs[id] ?? 0)));
    }
    this.#partial = bytes.subarray(at);
    this.#send();
  }
}

/** The id of the message with that counter. */
export function messageId(prefix: string, counter: number): string {
  return `${prefix}${digitsOf(counter)}`;
}

/** The counter of a message by its id. */
export function counterOf(id: string): { readonly prefix: string; readonly counter: number } {
  return { prefix: id.slice(0, -COUNTER_DIGITS), counter: Number(id.slice(-COUNTER_DIGITS)) };
}

/** What the message with that counter carries: the last metric has the counter for decimals, so that its row tells which message it is of. */
export function readingsOfMessage(metrics: readonly string[], counter: number): Readonly<Record<string, number>> {
  return Object.fromEntries(valuesOf(metrics, digitsOf(counter)).map(([metric, value]) => [metric, Number(value)]));
}

function valuesOf(metrics: readonly string[], digits: string): [metric: string, value: string][] {
  return metrics.map((metric, i) => [metric, `${i + 1}.${i === metrics.length - 1 ? digits : '25'}`]);
}

function digitsOf(counter: number): string {
  return String(counter).padStart(COUNTER_DIGITS, '0');
}

function makeTemplate(topic: string, { idPrefix, metrics }: PublisherOptions): Template {
  const digits = digitsOf(0);
  const values = valuesOf(metrics, digits).map(([metric, value]) => `"${metric}":${value}`);
  const payload = `{"id":"${idPrefix}${digits}","ts":${'0'.repeat(TS_DIGITS)},"metrics":{${values.join(',')}}}`;
  const packet = mqttPacket.generate({
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
  });
  const payloadAt = packet.length - Buffer.byteLength(payload);
  return {
    packet,
    packetIdAt: payloadAt - 2,
    counterAt: payloadAt + '{"id":"'.length + idPrefix.length,
    valueAt: packet.length - '}}'.length - COUNTER_DIGITS,
    tsAt: payloadAt + payload.indexOf('"ts":') + 5,
    lastTs: 0,
  };
}
