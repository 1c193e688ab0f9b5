import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { Generation, GroupMemberEvents, KafkaClient, PartitionReader } from './client.ts';
import { GroupSubscription } from './group-subscription.ts';

const NO_PARTITION: Generation = { id: 1, memberId: 'm', partitions: [] };

/** A client whose groups are divided when the test says so. */
class HeldGroups {
  readonly joined: GroupMemberEvents[] = [];
  closed = 0;

  readonly client = {
    joinGroup: (_group: string, _topic: string, events: GroupMemberEvents) => {
      this.joined.push(events);
      const close = () => {
        this.closed++;
        return Promise.resolve();
      };
      return Promise.resolve({ commit: () => Promise.resolve(), close });
    },
    openReader: () =>
      ({
        byLeader: () => Promise.resolve(new Map()),
        close: () => Promise.resolve(),
      }) as Partial<PartitionReader> as PartitionReader,
    committed: () => Promise.resolve(new Map()),
    offsets: () => Promise.resolve(new Map()),
  } as Partial<KafkaClient> as KafkaClient;
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function subscribe(client: KafkaClient) {
  const failures: string[] = [];
  const subscription = new GroupSubscription({
    ...{ client, clock: systemClock, topic: 'metrics', groupId: 'store', resumeAfter: undefined },
    handler: (batch) => batch.ack(),
    limits: { maxBatchEvents: 10, maxBatchBytes: 1000, maxHeldEvents: 10, maxHeldBytes: 1000 },
    ...{ sessionTimeoutMs: 30, commitIntervalMs: 10 },
    onFailure: (error) => failures.push(messageOf(error)),
  });
  closing.push(() => subscription.close());
  return { subscription, failures };
}

async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a member of a group', () => {
  it('that is assigned nothing, also not that it has no partition, leaves and joins again, and says so', async () => {
    const groups = new HeldGroups();
    const { subscription, failures } = subscribe(groups.client);
    await until(() => groups.joined.length === 2);
    expect(failures).toEqual(['store: no partitions were assigned to this member for 90 ms; it joins again']);
    expect(groups.closed).toBe(1);
    await subscription.close();
    expect(groups.closed).toBe(2);
  });

  it('that gave its partitions back and hears no more of its group joins again', async () => {
    const groups = new HeldGroups();
    const { failures } = subscribe(groups.client);
    await until(() => groups.joined.length === 1);
    groups.joined[0]!.assigned(NO_PARTITION);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(failures).toEqual([]);
    await groups.joined[0]!.beforeRejoin();
    await until(() => groups.joined.length === 2);
    expect(failures).toHaveLength(1);
  });
});
