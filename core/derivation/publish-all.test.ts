import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '../contracts/sample-event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { EventStream, PublishResult } from '../ports/event-stream.ts';
import { publishAll } from './publish-all.ts';

const event = (machine: string, eventId: string) =>
  sampleEvent(eventId, { kind: 'features', key: `t/s/${machine}` as MachineKey, items: 0 });

function streamThatAnswers(...answers: (PublishResult | PortError)[]) {
  const published: string[][] = [];
  const publish: EventStream['publish'] = async (_stream, events) => {
    published.push(events.map(({ eventId }) => eventId));
    const answer = answers.shift() ?? { failed: [] };
    if (answer instanceof PortError) throw answer;
    return answer;
  };
  return { published, stream: { publish } as EventStream };
}

const events = [event('a', 'a1'), event('b', 'b1'), event('a', 'a2'), event('b', 'b2'), event('a', 'a3')];

describe('publishing all', () => {
  it('publishes what failed again, with the later events of its machine and no others', async () => {
    const { stream, published } = streamThatAnswers({ failed: [{ index: 2, code: 'unavailable' }] });
    await publishAll(stream, 'features', events);
    expect(published).toEqual([
      ['a1', 'b1', 'a2', 'b2', 'a3'],
      ['a2', 'a3'],
    ]);
  });

  it('tries the whole batch again when the provider is away', async () => {
    const { stream, published } = streamThatAnswers(new PortError('unavailable', 'away'));
    await publishAll(stream, 'features', events);
    expect(published).toHaveLength(2);
  });

  it('gives up at once on an error that no repetition mends', async () => {
    const { stream, published } = streamThatAnswers(new PortError('not_found', 'no such stream'));
    await expect(publishAll(stream, 'features', events)).rejects.toMatchObject({ code: 'not_found' });
    expect(published).toHaveLength(1);
  });

  it('asks nothing of the provider for no events', async () => {
    const { stream, published } = streamThatAnswers();
    await publishAll(stream, 'features', []);
    expect(published).toEqual([]);
  });
});
