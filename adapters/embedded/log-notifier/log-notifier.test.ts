import { Writable } from 'node:stream';
import { pino } from 'pino';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { LogNotifier } from './log-notifier.ts';

const NO_RECEIVER = 'a log line is written here and now: there is no receiver that could be away, refuse or be slow';

describeContract(
  notifierContract,
  'log',
  async () => {
    const lines: string[] = [];
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(chunk.toString());
        done();
      },
    });
    return {
      notifier: new LogNotifier(pino(destination)),
      received: async () => [...lines],
      identityIn: (line: string) => (JSON.parse(line) as { notificationId?: string }).notificationId,
      behave: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
  [
    { case: 'says of a receiver that is out of order or gone that it may pass', reason: NO_RECEIVER },
    { case: 'says of a receiver that refuses that trying again will not help', reason: NO_RECEIVER },
    { case: 'does not wait for ever', reason: NO_RECEIVER },
    { case: 'stops waiting when its caller does', reason: NO_RECEIVER },
  ],
);
