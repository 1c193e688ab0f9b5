import { describe, expect, it } from '@jest/globals';
import { Admission } from './admission.ts';
import type { BrokerMessage } from './broker-connection.ts';

const nothing = () => undefined;

function messageOf(topic: string, given: Partial<BrokerMessage> = {}): BrokerMessage {
  const payload = Buffer.alloc(0);
  const rest = { isRetained: false, traceparent: undefined, comesAgain: undefined, acknowledge: nothing };
  return { topic, payload, ...rest, ...given };
}

/** Admits messages, each when told: by default that of the one sender. */
function admitting(maxUnawaited: number) {
  const admitted: BrokerMessage[] = [];
  const admit = new Map<string, () => void>();
  const senderOf = ({ topic }: BrokerMessage) => (topic.includes('/') ? topic.split('/')[0]! : 'gauge-1');
  const admission = new Admission({
    ...{ maxUnawaited, senderOf },
    admit: (message) => {
      admitted.push(message);
      return new Promise((resolve) => admit.set(senderOf(message), resolve));
    },
  });
  const next = async (sender = 'gauge-1') => {
    admit.get(sender)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { admission, admitted, next, topics: () => admitted.map(({ topic }) => topic) };
}

describe('admission', () => {
  it('has those of a device one after another, in their order', async () => {
    const { admission, topics, next } = admitting(10);
    for (const topic of ['a', 'b', 'c']) admission.take(messageOf(topic));
    expect(topics()).toEqual(['a']);
    await next();
    expect(topics()).toEqual(['a', 'b']);
    await next();
    await next();
    admission.take(messageOf('d'));
    expect(topics()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('has messages of others go on while one of a device waits, each device in its order', async () => {
    const { admission, topics, next } = admitting(10);
    for (const topic of ['slow/1', 'quick/1', 'slow/2', 'quick/2']) admission.take(messageOf(topic));
    expect(topics()).toEqual(['slow/1', 'quick/1']);
    await next('quick');
    await next('quick');
    admission.take(messageOf('quick/3'));
    expect(topics()).toEqual(['slow/1', 'quick/1', 'quick/2', 'quick/3']);
    await next('slow');
    expect(topics().at(-1)).toBe('slow/2');
  });

  it('takes so many that the broker does not wait for, until they are settled', async () => {
    const { admission, admitted, next } = admitting(2);
    expect(['a', 'b', 'c'].map((topic) => admission.take(messageOf(topic)))).toEqual([true, true, false]);
    await next();
    // Admitted, and still at intake.
    expect(admission.take(messageOf('d'))).toBe(false);
    admitted[0]!.acknowledge();
    expect(['e', 'f'].map((topic) => admission.take(messageOf(topic)))).toEqual([true, false]);
  });

  it.each([
    ['that the broker waits for', { comesAgain: new AbortController().signal }],
    ['that the broker retains', { isRetained: true }],
  ])('leaves it to the broker how many there are of those %s', (_what, given) => {
    const { admission } = admitting(1);
    expect(['a', 'b', 'c'].map((topic) => admission.take(messageOf(topic, given)))).toEqual([true, true, true]);
  });

  it('lets go of what comes again, and of nothing else', async () => {
    const { admission, topics, next } = admitting(10);
    const [gone, there] = [new AbortController(), new AbortController()];
    admission.take(messageOf('first'));
    admission.take(messageOf('of the connection before', { comesAgain: gone.signal }));
    admission.take(messageOf('once only'));
    admission.take(messageOf('of this connection', { comesAgain: there.signal }));
    gone.abort();
    admission.prune();
    for (let i = 0; i < 4; i++) await next();
    expect(topics()).toEqual(['first', 'once only', 'of this connection']);
  });
});
