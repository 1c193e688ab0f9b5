import { join } from 'node:path';
import {
  eventStreamContract,
  measuredStreamContract,
  readableTailContract,
  type EventStreamHarness,
} from '#core/contracts/event-stream.contract.ts';
import { deployedContract, type DeployedContract } from '#core/contracts/verification.ts';
import type { Waiver } from '#core/contracts/contract.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { EventStream, MeasuredStream, ReadableTail } from '#core/ports/event-stream.ts';
import { firstLineOf } from './killed-process.ts';

/** A stream `metrics` that nobody else uses, for one case of the contract. */
export interface OwnStream<Stream extends EventStream> {
  /** With which processes open it, too: JSON. */
  readonly settings: object;
  /** Folder of the programs `consumer.ts` and `publisher.ts`. */
  readonly processes: string;
  /** Makes the case's groups, tenants and events its own. */
  readonly suffix: string;
  /** Another client. */
  readonly open: () => Promise<Stream>;
  /** After its clients are closed. */
  readonly remove: () => Promise<unknown>;
}

type OwnHarness<Stream extends EventStream> = EventStreamHarness & { readonly stream: Stream } & AsyncDisposable;

/** A delivery by a real service may take as long as its leases do. */
const PATIENCE_MS = 120_000;

/** What cases are run with. `failNextPublish` is of a peer that fails as it is told. */
export async function ownStreamHarness<Stream extends EventStream>(
  { settings, processes, suffix, open, remove }: OwnStream<Stream>,
  { failNextPublish = refuse, patienceMs = PATIENCE_MS }: Partial<EventStreamHarness> = {},
): Promise<OwnHarness<Stream>> {
  const clients: Stream[] = [];
  const reopen = async (): Promise<Stream> => {
    const client = await open();
    clients.push(client);
    return client;
  };
  const runAndKill = (program: string, given: string) =>
    firstLineOf(join(processes, program), [JSON.stringify(settings), given]);
  const dispose = async (): Promise<void> => {
    const closed = await Promise.allSettled(clients.map((client) => client.close()));
    await remove();
    const failed = closed.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  };
  try {
    return {
      stream: await reopen(),
      streamName: 'metrics',
      missingStreamName: 'no-such-stream' as StreamName,
      ...{ suffix, patienceMs, reopen, failNextPublish },
      killConsumerMidBatch: async (group) => JSON.parse(await runAndKill('consumer.ts', group)) as string[],
      killPublisher: async (events) => Number(await runAndKill('publisher.ts', JSON.stringify(events))),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function refuse(): never {
  throw new Error('a service cannot be told to fail');
}

const FAILING: readonly Waiver[] = [
  'names the items of a batch that failed, and makes the others durable',
  'counts on without a hole when what failed is published again',
].map((name) => ({
  case: name,
  reason: 'the service would have to fail: the peers of the tests do, docs/capabilities.md',
}));

/** The whole contract but for what the service would have to fail for. */
export function ownStreamContracts(make: () => Promise<OwnStream<MeasuredStream>>): readonly DeployedContract[] {
  const makeHarness = async () => ownStreamHarness(await make());
  return [
    deployedContract(eventStreamContract, makeHarness, FAILING),
    deployedContract(measuredStreamContract, makeHarness),
  ];
}

/** That of streams whose tail can be read. */
export function ownTailContract(make: () => Promise<OwnStream<MeasuredStream & ReadableTail>>): DeployedContract {
  return deployedContract(readableTailContract, async () => ownStreamHarness(await make()));
}
