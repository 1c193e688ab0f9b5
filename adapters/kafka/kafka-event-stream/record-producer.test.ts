import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import type * as Sdk from '@platformatic/kafka';
import { RecordProducer } from './record-producer.ts';

/** What the SDK would send is the test's to end. */
class HeldProducer extends EventEmitter {
  readonly sent: { readonly topic: string; readonly end: (error?: Error) => void }[] = [];

  send({ messages }: { readonly messages: readonly { readonly topic: string }[] }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.sent.push({ topic: messages[0]!.topic, end: (error) => (error ? reject(error) : resolve(undefined)) });
    return promise;
  }
}

it('sends one thing at a time, the next also after one that failed: the SDK would number what it has taken anew, under its former id', async () => {
  const sdk = new HeldProducer();
  const producer = new RecordProducer(sdk as unknown as Sdk.Producer);
  const records = [{ key: Buffer.from('k'), value: Buffer.from('v') }] as never;
  const [first, second, third] = ['metrics', 'features', 'alarms'].map((topic) => producer.send(topic, 0, records));
  const failed = expect(first).rejects.toMatchObject({ message: expect.stringContaining('publish to metrics') });
  const topics = async (): Promise<readonly string[]> => {
    await new Promise((resolve) => setImmediate(resolve));
    return sdk.sent.map(({ topic }) => topic);
  };
  expect(await topics()).toEqual(['metrics']);
  sdk.sent[0]!.end(new Error('the connection is lost'));
  await failed;
  expect(await topics()).toEqual(['metrics', 'features']);
  sdk.sent[1]!.end();
  expect(await second).toBeUndefined();
  expect(await topics()).toEqual(['metrics', 'features', 'alarms']);
  sdk.sent[2]!.end();
  expect(await third).toBeUndefined();
});
