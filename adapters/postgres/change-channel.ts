import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';

const CHANNEL = 'tribo_changes';
const RETRY_MS = 1_000;

/**
 * Tells listeners of what other processes changed, by NOTIFY. One connection listens while there is a listener; where it was lost, all are told
 * once it is back, as some changes may have been missed.
 */
export class ChangeChannel {
  readonly #connect: () => Promise<Client>;
  readonly #me = randomUUID();
  readonly #listeners = new Map<string, Set<() => void>>();
  #client: Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #connecting: Promise<void> | undefined;
  #isClosed = false;

  constructor(connect: () => Promise<Client>) {
    this.#connect = connect;
  }

  /** The statement by which a transaction tells of a change of `topic`: it goes out with the commit. */
  notice(topic: string): readonly [channel: string, payload: string] {
    return [CHANNEL, `${this.#me} ${topic}`];
  }

  on(topic: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    if (!this.#client) this.#listen();
    return () => void listeners.delete(listener);
  }

  /** Of a change by this process: its own notices are not waited for. */
  tell(topic: string): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#listeners.clear();
    await this.#connecting;
    await this.#client?.end().catch(() => undefined);
  }

  #listen(): void {
    this.#connecting ??= this.#open()
      .catch(() => this.#again())
      .finally(() => (this.#connecting = undefined));
  }

  async #open(): Promise<void> {
    const client = await this.#connect();
    client.on('notification', ({ payload = '' }) => {
      const [from, topic = ''] = payload.split(' ');
      if (from !== this.#me) this.tell(topic);
    });
    try {
      await client.query(`listen ${CHANNEL}`);
    } catch (error) {
      await client.end();
      throw error;
    }
    client.on('end', () => {
      this.#client = undefined;
      this.#again();
    });
    this.#client = client;
    // Whoever began to listen has read before this connection heard: something may lie between.
    for (const topic of this.#listeners.keys()) this.tell(topic);
  }

  #again(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#listen(), RETRY_MS).unref();
  }
}
