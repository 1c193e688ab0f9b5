import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SESv2 } from '@aws-sdk/client-sesv2';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import { decodeMail } from '#test/support/decode-mail.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { HttpFaults, SEEMING } from '#test/peers/http-faults.ts';
import { Moto } from '#test/peers/moto.ts';
import { sesNotifierConfigSchema } from './config.ts';
import { SesNotifier } from './ses-notifier.ts';

const region = 'eu-central-1';
let moto: Moto;
let ses: SESv2;

beforeAll(async () => {
  moto = await Moto.start();
  const { SESv2 } = await import('@aws-sdk/client-sesv2');
  ses = new SESv2({ region, endpoint: moto.endpoint });
}, 300_000);

afterAll(async () => {
  ses.destroy();
  await moto[Symbol.asyncDispose]();
});

/** A verified sender and two mailboxes, which moto shows. */
async function openMailboxes() {
  const unique = randomUUID();
  const [from, to] = [`tribo-${unique}@example.org`, [`shift-${unique}@example.org`, 'reliability@example.org']];
  await ses.createEmailIdentity({ EmailIdentity: from });
  const wire = await HttpFaults.start(moto.endpoint);
  const notifier = await SesNotifier.open(
    sesNotifierConfigSchema.parse({ region, endpoint: wire.endpoint, from, to, timeoutMs: 2000 }),
  );
  return {
    ...{ notifier, from, to },
    received: async () => {
      const shown = JSON.parse(await (await fetch(`${moto.endpoint}/moto-api/data.json`)).text()) as Shown;
      const mails = (shown.ses?.RawMessage ?? []).filter(({ source }) => source === from);
      return mails.map(({ raw_data: raw }) => decodeMail(raw.replaceAll('\r\n', '\n')));
    },
    identityIn: (mail: string) => /^X-Notification-ID: (.+)$/m.exec(mail)?.[1],
    behave: async (how: 'refusing' | 'failing' | 'hanging' | 'gone') => {
      if (how === 'refusing') await ses.deleteEmailIdentity({ EmailIdentity: from });
      else wire.fault = SEEMING[how];
    },
    [Symbol.asyncDispose]: async () => {
      await notifier.close();
      await wire[Symbol.asyncDispose]();
    },
  };
}

interface Shown {
  readonly ses?: { readonly RawMessage?: readonly { readonly source: string; readonly raw_data: string }[] };
}

describeContract(notifierContract, 'SES (moto)', () => openMailboxes());

describe('a mail by SES', () => {
  it('has the subject and the body that people filter by, in any alphabet', async () => {
    await using mailboxes = await openMailboxes();
    const notice = sampleNotice(sampleActivation({ part: { message: 'Schwingung ✓ zu hoch' } }));
    await mailboxes.notifier.send({ id: 'n1', notice });
    const [mail = ''] = await mailboxes.received();
    expect(mail).toMatch(/^Subject: Anomaly Detected: press-7$/m);
    expect(mail).toMatch(/^Auto-Submitted: auto-generated$/m);
    expect(mail).toMatch(/^X-Notification-ID: [0-9a-f]{32}$/m);
    expect(mail).toContain(`To: ${mailboxes.to[0]}`);
    expect(mail).toContain('Schwingung ✓ zu hoch');
  });
});
