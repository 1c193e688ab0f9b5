/** The control packets that matter here, by the first four bits of their fixed header (MQTT 3.1.1, table 2.1). */
const CONNECT = 1;
const PUBLISH = 3;
const PUBACK = 4;

export interface FrameLimits {
  /** Of a CONNECT: client id, credentials and will. */
  readonly connectBytes: number;
  /** Of a PUBLISH: topic, packet id and payload. */
  readonly publishBytes: number;
  /** Of every other packet. */
  readonly otherBytes: number;
}

/**
 * Follows the framing of one connection's bytes, so that a packet which is too long is noticed by its fixed header, before the parser
 * (which has no limit of its own) buffers any of it. It sees acknowledgements of commands on the way, which aedes does not report for
 * a clean session.
 */
export class FrameLimiter {
  readonly #limits: FrameLimits;
  readonly #onPuback: (packetId: number) => void;
  #type = 0;
  /** 0 at a packet's first byte, then how many bytes of the length have come plus one; -1 inside the body. */
  #lengthBytes = 0;
  #remaining = 0;
  #packetId = 0;
  #connected = false;

  constructor(limits: FrameLimits, onPuback: (packetId: number) => void) {
    this.#limits = limits;
    this.#onPuback = onPuback;
  }

  /** False when the connection must be closed: a packet is too long or malformed, or the first one is no CONNECT. */
  admit(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#lengthBytes === -1) at = this.#skipBody(chunk, at);
      else if (this.#lengthBytes === 0) {
        this.#type = chunk[at++]! >> 4;
        this.#remaining = 0;
        this.#lengthBytes = 1;
      } else if (!this.#readLength(chunk[at++]!)) return false;
    }
    return true;
  }

  #readLength(byte: number): boolean {
    this.#remaining |= (byte & 0x7f) << (7 * (this.#lengthBytes - 1));
    if (byte >= 0x80) return ++this.#lengthBytes <= 4;
    if (!this.#connected && this.#type !== CONNECT) return false;
    this.#connected = true;
    this.#packetId = 0;
    this.#lengthBytes = this.#remaining === 0 ? 0 : -1;
    return this.#remaining <= this.#limitOf(this.#type);
  }

  #skipBody(chunk: Uint8Array, at: number): number {
    if (this.#type === PUBACK) {
      this.#packetId = (this.#packetId << 8) | chunk[at]!;
      if (--this.#remaining === 0) {
        this.#lengthBytes = 0;
        this.#onPuback(this.#packetId & 0xffff);
      }
      return at + 1;
    }
    const taken = Math.min(this.#remaining, chunk.length - at);
    this.#remaining -= taken;
    if (this.#remaining === 0) this.#lengthBytes = 0;
    return at + taken;
  }

  #limitOf(type: number): number {
    if (type === PUBLISH) return this.#limits.publishBytes;
    return type === CONNECT ? this.#limits.connectBytes : this.#limits.otherBytes;
  }
}
