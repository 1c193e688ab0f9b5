import { randomUUID } from 'node:crypto';
import { Azurite } from './azurite.ts';
import { EventHubs } from './event-hubs.ts';

const CONTAINER = 'tribo-streams';

/** A peer of Event Hubs with one of the blobs where groups keep how far they are. */
export class EventHubsSite implements AsyncDisposable {
  readonly hubs: EventHubs;
  readonly #azurite: Azurite;

  static async start(): Promise<EventHubsSite> {
    const [hubs, azurite] = await Promise.all([EventHubs.start(), Azurite.start()]);
    const { ContainerClient } = await import('@azure/storage-blob');
    await new ContainerClient(azurite.connectionString, CONTAINER).create();
    return new EventHubsSite(hubs, azurite);
  }

  private constructor(hubs: EventHubs, azurite: Azurite) {
    this.hubs = hubs;
    this.#azurite = azurite;
  }

  /** Settings for the adapter with a new hub as the stream `metrics`. */
  settings(partitions: number, consumerGroups: readonly string[]): { readonly streams: { readonly metrics: string } } {
    const hub = `tribo-${randomUUID()}`;
    this.hubs.createHub(hub, { partitions, consumerGroups });
    return {
      ...{ hubsEmulatorConnectionString: this.hubs.connectionString, streams: { metrics: hub } },
      ...{ emulatorConnectionString: this.#azurite.connectionString, checkpointContainer: CONTAINER },
      ...{ timeoutMs: 3_000, receiveWaitMs: 200, leaseMs: 1_500, checkpointIntervalMs: 50 },
    };
  }

  /** Names of the blobs that are there. */
  async blobs(): Promise<readonly string[]> {
    const { ContainerClient } = await import('@azure/storage-blob');
    const found: string[] = [];
    const container = new ContainerClient(this.#azurite.connectionString, CONTAINER);
    for await (const { name } of container.listBlobsFlat()) found.push(name);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#azurite[Symbol.asyncDispose]();
    await this.hubs[Symbol.asyncDispose]();
  }
}
