import assert from 'node:assert/strict';
import type { Announced } from '../announcing/announcement.ts';
import type { DeviceId, MachineKey } from '../domain/ids.ts';
import type { Notifier } from '../ports/notifier.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { sampleActivation, sampleNotice } from './sample-alarm.ts';

export interface NotifierHarness {
  readonly notifier: Notifier;
  /** What the receiver has taken, each as all the text that it saw, oldest first. */
  received(): Promise<readonly string[]>;
  /** What a receiver sees as the notification's identity. */
  identityIn(received: string): string | undefined;
  /** How the receiver behaves from now on: refuses for good, is out of order for now, does not answer, or is not there. */
  behave(how: 'refusing' | 'failing' | 'hanging' | 'gone'): Promise<void>;
}

const notice = (message = 'temperature 81.5 Cel is above 80 Cel') =>
  sampleNotice(
    sampleActivation({
      part: {
        message,
        title: 'Temperature high',
        ...{ metric: 'temperature', value: 81.5, limit: 80, unit: 'Cel' },
      },
    }),
  );

const ANNOUNCED: readonly Announced[] = [
  {
    ...{ kind: 'device', change: 'offline', device: 'gw-1' as DeviceId, by: 'connection', sinceMs: 1_795_222_800_000 },
    machines: ['north/akron/press-7' as MachineKey],
  },
  {
    ...{ kind: 'prediction', change: 'made', machine: 'north/akron/press-7' as MachineKey, sensor: 'de' },
    ...{ verdict: 'degraded', before: 'healthy', predictionId: 'p-1', ts: 1_795_222_800_000, values: {} },
  },
];

export const notifierContract: Contract<NotifierHarness> = {
  port: 'notifier',
  cases: [
    {
      name: 'tells the receiver which machine, and why',
      async run({ notifier, ...receiver }) {
        await notifier.send({ id: 'n1', notice: notice() });
        const [text, ...others] = await receiver.received();
        assert.equal(others.length, 0);
        assert.match(text ?? '', /press-7/);
        assert.match(text ?? '', /temperature 81\.5 Cel is above 80 Cel/);
      },
    },
    {
      name: 'tells of each kind of thing that it takes, and refuses the others for good',
      async run({ notifier, ...receiver }) {
        for (const announced of ANNOUNCED) {
          const before = (await receiver.received()).length;
          const sending = notifier.send({ id: `n-${announced.kind}`, notice: announced });
          if (notifier.takes.has(announced.kind)) {
            await sending;
            const text = (await receiver.received())[before] ?? '';
            assert.match(text, announced.kind === 'device' ? /gw-1[^]*offline|offline[^]*gw-1/ : /degraded/);
            assert.ok(receiver.identityIn(text));
          } else {
            await assert.rejects(sending, failsWith('invalid_argument'));
            assert.equal((await receiver.received()).length, before);
          }
        }
      },
    },
    {
      name: 'gives the same notification the same identity again, and another one another',
      async run({ notifier, ...receiver }) {
        for (const id of ['n1', 'n1', 'n2:with/odd characters?']) await notifier.send({ id, notice: notice() });
        const [first, again, other] = (await receiver.received()).map((text) => receiver.identityIn(text));
        assert.ok(first);
        assert.equal(again, first);
        assert.ok(other);
        assert.notEqual(other, first);
      },
    },
    {
      name: 'carries any text',
      async run({ notifier, ...receiver }) {
        await notifier.send({ id: 'n1', notice: notice('Schwingung ✓ "quoted"\r\n.\r\nBcc: x@example.org') });
        assert.equal((await receiver.received()).length, 1);
      },
    },
    {
      name: 'says of a receiver that is out of order or gone that it may pass',
      async run({ notifier, ...receiver }) {
        for (const how of ['failing', 'gone'] as const) {
          await receiver.behave(how);
          await assert.rejects(
            notifier.send({ id: 'n1', notice: notice() }),
            failsWith('unavailable', 'resource_exhausted', 'deadline_exceeded'),
          );
        }
      },
    },
    {
      name: 'says of a receiver that refuses that trying again will not help',
      async run({ notifier, ...receiver }) {
        await receiver.behave('refusing');
        await assert.rejects(
          notifier.send({ id: 'n1', notice: notice() }),
          failsWith('permission_denied', 'invalid_argument', 'failed_precondition', 'not_found'),
        );
      },
    },
    {
      name: 'does not wait for ever',
      async run({ notifier, ...receiver }) {
        await receiver.behave('hanging');
        await assert.rejects(
          notifier.send({ id: 'n1', notice: notice() }),
          failsWith('deadline_exceeded', 'unavailable'),
        );
      },
    },
    {
      name: 'stops waiting when its caller does',
      async run({ notifier, ...receiver }) {
        await receiver.behave('hanging');
        const abort = new AbortController();
        const sending = notifier.send({ id: 'n1', notice: notice() }, { signal: abort.signal });
        abort.abort();
        await assert.rejects(sending, failsWith('cancelled'));
      },
    },
    {
      name: 'sends nothing after closing',
      async run({ notifier, ...receiver }) {
        await notifier.close();
        await notifier.close();
        await assert.rejects(notifier.send({ id: 'n1', notice: notice() }), failsWith('failed_precondition'));
        assert.deepEqual(await receiver.received(), []);
      },
    },
  ],
};
