import type { ServerResponse } from 'node:http';
import type { SseEventData, SseEventName } from '../schemas/events.ts';

type GoodbyeReason = SseEventData<'goodbye'>['reason'];

const DESTROY_AFTER_MS = 5000;

/**
 * One listener of the event stream. What waits for it is bounded: a client that does not read is sent a goodbye and disconnected, so that it
 * neither fills the memory nor believes that old numbers are current.
 */
export class SseClient {
  readonly #response: ServerResponse;
  readonly #maxQueuedBytes: number;
  readonly #onClose: (reason?: GoodbyeReason) => void;
  #closed = false;

  constructor(response: ServerResponse, maxQueuedBytes: number, onClose: (reason?: GoodbyeReason) => void) {
    this.#response = response;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#onClose = onClose;
    response.on('close', () => this.#end());
    response.on('error', () => this.#end());
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // A proxy that buffers would turn a live stream into an old one.
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
  }

  send<Name extends SseEventName>(name: Name, data: SseEventData<Name>, id?: string): void {
    this.sendText(sseText(name, data, id));
  }

  /** Text made by {@link sseText}, so that what goes to many is made once. */
  sendText(text: string): void {
    if (this.#closed) return;
    if (this.#response.writableLength > this.#maxQueuedBytes) {
      this.goodbye('slow-client', 'More was waiting for this client than it may keep.', 1000);
    } else this.#response.write(text);
  }

  heartbeat(): void {
    this.sendText(': heartbeat\n\n');
  }

  /** Says why and ends the connection; a client that still does not read is cut off. */
  goodbye(reason: GoodbyeReason, detail: string, reconnectAfterMs?: number): void {
    if (this.#closed) return;
    const data = { reason, detail, ...(reconnectAfterMs !== undefined && { reconnectAfterMs }) };
    this.#response.end(sseText('goodbye', data));
    setTimeout(() => this.#response.destroy(), DESTROY_AFTER_MS).unref();
    this.#end(reason);
  }

  #end(reason?: GoodbyeReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(reason);
  }
}

/** One event as it is sent. JSON holds no line break, so one data line is enough. */
export function sseText<Name extends SseEventName>(name: Name, data: SseEventData<Name>, id?: string): string {
  return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}
