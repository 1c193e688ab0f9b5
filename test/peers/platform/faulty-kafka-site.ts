import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { kafkaEventStreamConfigSchema } from '#adapters/kafka/kafka-event-stream/config.ts';
import { KafkaEventStream } from '#adapters/kafka/kafka-event-stream/kafka-event-stream.ts';
import type { BatchHandler } from '#core/ports/event-stream.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { Kafka } from '../kafka.ts';
import { Moto } from '../moto.ts';
import { freePort } from '../peer-process.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import { TcpFaults } from '../tcp-faults.ts';
import {
  againAndAgain,
  cutAgainAndAgain,
  databaseFailsOver,
  CHANGING_MS,
  GROUPS,
  type BegunFault,
  type Fault,
  type FaultySite,
  type FaultySiteKind,
} from './faulty-site.ts';
import { kafkaPorts, makeTopics } from './kafka-site.ts';
import { makeBucket } from './moto-bucket.ts';
import { siteOn } from './site.ts';

const TIMEOUT_MS = 3000;

interface FaultyKafkaSite extends FaultySite {
  readonly kafka: Kafka;
  readonly wire: TcpFaults;
}

async function start(): Promise<FaultyKafkaSite> {
  const advertisedPort = await freePort();
  const kafka = await Kafka.start({ advertisedPort });
  let wires: Pick<FaultyKafkaSite, 'wire' | 'postgres' | 'openStream'> | undefined;
  const starting = [
    Promise.resolve(kafka),
    PostgresOnAWire.start(),
    Moto.start(),
    TcpFaults.start({ port: Number(kafka.broker.split(':')[1]) }, advertisedPort),
    checkpointsInFolder(),
  ] as const;
  const site = await siteOn(starting, async ([, postgres, moto, wire, observers]) => {
    await makeTopics(kafka);
    const { kafka: family, ...rest } = kafkaPorts(`127.0.0.1:${wire.port}`, await makeBucket(moto));
    const settings = { ...family, timeoutMs: TIMEOUT_MS };
    const openStream = () =>
      KafkaEventStream.open(kafkaEventStreamConfigSchema.parse({ ...settings, source: 'observer' }), {
        checkpoints: observers.store,
        onFailure: () => undefined,
      });
    wires = { wire, postgres, openStream };
    return { ports: { ...rest, kafka: settings, postgres: postgres.freshConnection() } };
  });
  return { ...site, kafka, ...wires! };
}

/** So long another member stays, and so long it is away. */
const STAYS_MS = 3000;
const AWAY_MS = 2000;

/** Another member of each group joins, settles nothing of what it is given, and leaves: again and again. */
async function othersJoinAndLeave(site: FaultyKafkaSite): Promise<BegunFault> {
  const stream = await site.openStream();
  let given = 0;
  const settlesNothing: BatchHandler = async (_batch, signal) => {
    given++;
    if (!signal.aborted) await once(signal, 'abort');
  };
  const joining = againAndAgain(
    AWAY_MS,
    async (_turn, ending) => {
      const members = await Promise.all(
        GROUPS.map(([name, group]) => stream.subscribe(name, group, settlesNothing, { maxBatchEvents: 10 })),
      );
      await sleep(STAYS_MS, undefined, { signal: ending }).catch(() => undefined);
      await Promise.all(members.map((member) => member.close()));
    },
    () => given,
  );
  return {
    ...joining,
    end: async () => {
      try {
        await joining.end();
      } finally {
        await stream.close();
      }
    },
  };
}

const FAULTS: readonly Fault<FaultyKafkaSite>[] = [
  {
    what: 'connections are cut again and again, also in the middle of what is sent',
    begin: ({ wire }) => cutAgainAndAgain(wire),
  },
  {
    what: 'another member of each group joins and leaves while handlers work, again and again',
    begin: othersJoinAndLeave,
    atLeastMs: CHANGING_MS,
  },
  {
    what: 'the broker does not answer',
    told: /events cannot be made durable: .*no answer/,
    refuses: /intake takes no more .*no answer/,
    begin: ({ wire }) => {
      wire.hold();
      return { end: () => wire.letGo() };
    },
  },
  {
    what: 'the broker is killed',
    told: /events cannot be made durable: /,
    refuses: /intake takes no more /,
    begin: async ({ kafka }) => {
      await kafka.kill();
      return { end: () => kafka.restart() };
    },
  },
  databaseFailsOver,
];

export const FAULTY_KAFKA: FaultySiteKind<FaultyKafkaSite> = { name: 'Kafka and PostgreSQL', start, faults: FAULTS };
