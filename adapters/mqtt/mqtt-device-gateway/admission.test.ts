import { describe, expect, it } from '@jest/globals';
import { Admission } from './admission.ts';
import type { BrokerMessage } from './broker-connection.ts';

const nothing = () => undefined;

function messageOf(topic: string, given: Partial<BrokerMessage> = {}): BrokerMessage {
  const payload = Buffer.alloc(0);
  const rest = { isRetained: false, traceparent: undefined, comesAgain: undefined, acknowledge: nothing };
  return { topic, payload, ...rest, ...given };
}

/** Admits one message after another, each when told. */
function admitting(maxUnawaited: number) {
  const admitted: BrokerMessage[] = [];
  let admit = nothing as () => void;
  const admission = new Admission(maxUnawaited, (message) => {
    admitted.push(message);
    return new Promise((resolve) => (admit = resolve));
  });
  const next = async () => {
    admit();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { admission, admitted, next, topics: () => admitted.map(({ topic }) => topic) };
}

describe('admission', () => {
  it('has one after another, in their order', async () => {
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
