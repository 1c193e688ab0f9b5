import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventStreamContract,
  measuredStreamContract,
  readableTailContract,
  type EventStreamHarness,
} from '#core/contracts/event-stream.contract.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { MeasuredStream, ReadableTail } from '#core/ports/event-stream.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { DEFAULT_RETENTION } from './config.ts';
import { LmdbEventStream } from './lmdb-event-stream.ts';

const ONE_WRITER = 'a log has one writer: another one is told who publishes';

type Harness = EventStreamHarness & { readonly stream: MeasuredStream & ReadableTail } & AsyncDisposable;

async function makeHarness(): Promise<Harness> {
  const directory = mkdtempSync(join(tmpdir(), 'tribo-stream-'));
  const clients: LmdbEventStream[] = [];
  const open = () => {
    const source = `source-${clients.length}`;
    const client = new LmdbEventStream({
      directory,
      source,
      streams: { metrics: DEFAULT_RETENTION.metrics },
      writerWaitMs: 2000,
    });
    clients.push(client);
    return client;
  };
  return {
    stream: open(),
    streamName: 'metrics',
    missingStreamName: 'no-such-stream' as StreamName,
    suffix: 'a1',
    patienceMs: 60_000,
    reopen: async () => open(),
    killConsumerMidBatch: (group) => killConsumerMidBatch(directory, group),
    killPublisher: () => {
      throw new Error(ONE_WRITER);
    },
    failNextPublish: () => {
      throw new Error('a publish is one transaction: its events are durable together or not at all');
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) await client.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function killConsumerMidBatch(directory: string, group: string): Promise<readonly string[]> {
  const program = join(import.meta.dirname, 'processes', 'consumer.ts');
  const child = spawn(process.execPath, [program, directory, group], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGKILL');
  await once(child, 'exit');
  return JSON.parse(line.toString()) as string[];
}

const reason = 'a publish is one LMDB transaction: its events are durable together or not at all';
describeContract(eventStreamContract, 'lmdb', makeHarness, [
  { case: 'names the items of a batch that failed, and makes the others durable', reason },
  { case: 'counts on without a hole when what failed is published again', reason },
]);
describeContract(measuredStreamContract, 'lmdb', makeHarness, [
  {
    case: 'counts exactly what several publishers publish at once, also as one of them ends, one is killed and another begins',
    reason: ONE_WRITER,
  },
]);
describeContract(readableTailContract, 'lmdb', makeHarness);
