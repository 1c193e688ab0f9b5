import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventStreamContract,
  measuredStreamContract,
  readableTailContract,
} from '#core/contracts/event-stream.contract.ts';
import { newRun, VERIFICATION_MARK } from '#core/contracts/verification.ts';
import { Kafka } from '../kafka.ts';
import { startVerify, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 180_000;
const TOPICS = ['tribo.metrics', 'tribo.raw-waveform'];
const SHORT = 'short.metrics';

let kafka: Kafka;
beforeAll(async () => {
  kafka = await Kafka.start();
  await kafka.createTopics([...TOPICS, SHORT], { partitions: 3 });
}, 600_000);
afterAll(() => kafka[Symbol.asyncDispose]());

function siteOf(given: object = {}) {
  const place = { brokers: [kafka.broker], tls: false, streams: ['metrics', 'raw-waveform'] };
  return { eventStream: { adapter: 'kafka-event-stream', ...place, ...given } };
}

/** Asks or changes what the platform does not. */
async function asAdmin<Result>(work: (admin: import('@platformatic/kafka').Admin) => Promise<Result>): Promise<Result> {
  const { Admin } = await import('@platformatic/kafka');
  const admin = new Admin({ clientId: 'peer', bootstrapBrokers: [kafka.broker] });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

const groups = () => asAdmin(async (admin) => [...(await admin.listGroups()).keys()]);
const ends = () =>
  asAdmin(async (admin) => {
    const partitions = [0, 1, 2].map((partitionIndex) => ({ partitionIndex, timestamp: -1n }));
    const listed = await admin.listOffsets({ topics: TOPICS.map((name) => ({ name, partitions })) });
    return listed.flatMap(({ partitions: of }) => of.map(({ offset }) => offset));
  });

describe('tribo verify of a site on Kafka', () => {
  it(
    'looks at each topic, publishes nothing, and leaves no group, also not of a run of two days ago',
    async () => {
      const earlier = `tribo.${VERIFICATION_MARK}-${newRun(Date.now() - 2 * 86_400_000)}`;
      await asAdmin((admin) =>
        admin.alterConsumerGroupOffsets({
          groupId: earlier,
          topics: [{ name: TOPICS[0]!, partitionOffsets: [{ partition: 0, offset: 0n }] }],
        }),
      );
      const before = await ends();
      const { code, ports } = await verifySite(siteOf());
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: 7, failed: [], problems: [], removedOfEarlier: 1 }],
      });
      expect(ports[0]!.leftOut.map((each) => each.case)).toContainEqual(expect.stringContaining('delivery in order'));
      expect(await ends()).toEqual(before);
      expect((await groups()).filter((each) => each.includes(VERIFICATION_MARK))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'runs the contract of streams on topics of its own with --provision, and leaves none and no group, also not of a run of two days ago',
    async () => {
      const earlier = `tribo.${VERIFICATION_MARK}-${newRun(Date.now() - 2 * 86_400_000)}-1.metrics`;
      await kafka.createTopics([earlier], { partitions: 1 });
      const quick = { sessionTimeoutMs: 3_000, commitIntervalMs: 50, accountEveryMs: 100 };
      const { code, ports } = await verifySite(siteOf(quick), ['--provision']);
      const contracts = [eventStreamContract, measuredStreamContract, readableTailContract];
      const cases = contracts.flatMap((contract) => contract.cases).length;
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: 7 + cases - 2, failed: [], problems: [], removedOfEarlier: 1 }],
      });
      const isOfRun = (name: string) => name.includes(VERIFICATION_MARK);
      expect((await asAdmin((admin) => admin.listTopics())).filter(isOfRun)).toEqual([]);
      expect((await groups()).filter(isOfRun)).toEqual([]);
    },
    2 * TIMEOUT_MS,
  );

  it(
    'fails where a topic is not there, or the broker, and says what to do',
    async () => {
      const absent = await startVerify(siteOf({ streams: ['metrics', 'alarms'] })).ended;
      expect(absent.code).toBe(70);
      expect(absent.stdout).toMatch(/not_found: .*tribo\.alarms[^]*-> deploy what it names/);
      const { code, stdout } = await startVerify(siteOf({ brokers: ['127.0.0.1:1'], timeoutMs: 2_000 })).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(/-> see that the service runs/) });
    },
    TIMEOUT_MS,
  );

  it.each([
    ['keeps events too short', 'retention.ms', '3600000', /keeps events for 1 h, and the site reckons with 168 h/],
    ['takes too little at once', 'max.message.bytes', '1000', /takes 1000 bytes at once: set its max\.message\.bytes/],
    ['keeps the last record of a key alone', 'cleanup.policy', 'compact', /set its cleanup\.policy to delete/],
  ])(
    'fails where a topic %s',
    async (_what, name, value, says) => {
      const { ConfigResourceTypes } = await import('@platformatic/kafka');
      await asAdmin((admin) =>
        admin.alterConfigs({
          resources: [
            {
              ...{ resourceType: ConfigResourceTypes.TOPIC, resourceName: SHORT },
              configs: [{ name, value }],
            },
          ],
        }),
      );
      const { code, stdout } = await startVerify(siteOf({ prefix: 'short.', streams: ['metrics'] })).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});
