import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';

const CHANNEL = 'tribo_changes';
const RETRY_MS = 1_000;
/** How often a connection that only listens is asked for a sign of life: a network that forgot it tells neither side. */
const LOOK_MS = 10_000;
/** How long the server may take to end it. */
const ENDS_WITHIN_MS = 1_000;

/**
 * Tells listeners of what other processes changed, by NOTIFY. One connection listens while there is a listener; where it was lost, or gives no sign
 * of life, all are told once there is one again, as some changes may have been missed.
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
    if (this.#client) await end(this.#client);
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
      await end(client);
      throw error;
    }
    const looking = setInterval(() => void look(client), LOOK_MS).unref();
    client.on('end', () => {
      clearInterval(looking);
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

/** Ends a connection that no longer answers. */
async function look(client: Client): Promise<void> {
  await client.query('select 1').catch(() => client.connection.stream.destroy());
}

/** Takes leave of the server, and waits for no answer where the network has none. */
async function end(client: Client): Promise<void> {
  const ended = client.end().catch(() => undefined);
  await Promise.race([ended, sleep(ENDS_WITHIN_MS, undefined, { ref: false })]);
  client.connection.stream.destroy();
}
