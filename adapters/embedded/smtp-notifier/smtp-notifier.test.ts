import { describe, expect, it } from '@jest/globals';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { decodeMail } from '#test/support/decode-mail.ts';
import { smtpNotifierConfigSchema } from './config.ts';
import { SmtpNotifier } from './smtp-notifier.ts';
import { startSmtpTestServer } from './smtp-test-server.ts';

async function openServer(userInfo = '', publicUrl?: string) {
  const server = await startSmtpTestServer();
  const notifier = new SmtpNotifier(
    smtpNotifierConfigSchema.parse({
      url: server.url.replace('smtp://', `smtp://${userInfo}`),
      from: 'tribo@example.org',
      to: ['reliability@example.org', 'shift@example.org'],
      timeoutMs: 3000,
      publicUrl,
    }),
  );
  return {
    notifier,
    server,
    received: async () => server.mails.map(decodeMail),
    identityIn: (mail: string) => /^Message-ID: (.+)$/m.exec(mail)?.[1],
    behave: async (how: 'refusing' | 'failing' | 'hanging' | 'gone') => {
      if (how === 'gone') return server.close();
      if (how === 'hanging') server.answers.set('MAIL', '');
      else server.answers.set('RCPT', how === 'refusing' ? '550 no such user' : '451 try again later');
    },
    [Symbol.asyncDispose]: async () => {
      await notifier.close();
      await server.close();
    },
  };
}

describeContract(notifierContract, 'smtp', () => openServer());

const T0 = Date.UTC(2026, 10, 21, 1);
const notice = sampleNotice(
  sampleActivation({
    id: 'a1',
    atMs: T0,
    part: {
      kind: 'model-score',
      rule: { id: 'model-anomaly', version: 1 },
      model: { id: 'vibration-health', version: '7' },
      title: 'Unlike its healthy self',
      message: 'the score of vibration-health 4.2 is above 3',
      consequence: 'weeks remain',
      response: 'inspect it',
      ...{ sensor: 'de', value: 4.2, limit: 3, waveformId: 'w/1' },
      window: { fromMs: T0 - 1000, toMs: T0 },
    },
  }),
);

describe('mail notifier', () => {
  it('has the subject and the body that people filter by', async () => {
    await using opened = await openServer();
    await opened.notifier.send({ id: 'n1', notice });
    const [mail = ''] = await opened.received();
    expect(mail).toMatch(/^Subject: Anomaly Detected: press-7$/m);
    expect(mail).toMatch(/^To: reliability@example\.org, shift@example\.org$/m);
    expect(mail).toMatch(/^Message-ID: <[0-9a-f]{32}@example\.org>$/m);
    expect(mail).toMatch(/^Auto-Submitted: auto-generated$/m);
    const body = mail.slice(mail.indexOf('\n\n') + 2).trimEnd();
    const expected = {
      machine: 'press-7',
      title: 'Unlike its healthy self',
      priority: 'high',
      raisedAt: '2026-11-21T01:00:00.000Z',
      reasons: [
        {
          message: 'the score of vibration-health 4.2 is above 3',
          model: { id: 'vibration-health', version: '7' },
          sensor: 'de',
          value: 4.2,
          limit: 3,
          from: '2026-11-21T00:59:59.000Z',
          to: '2026-11-21T01:00:00.000Z',
          spectrum: '/v1/waveforms/w%2F1/spectrum',
        },
      ],
      consequence: 'weeks remain',
      response: 'inspect it',
      change: 'raised',
      state: 'unacknowledged',
      alarm: 'a1',
      site: 'akron',
      tenant: 'north',
    };
    expect(body).toBe(JSON.stringify(expected, null, 2));
  });

  it('links to the machine and its spectra where the address of the page is known', async () => {
    await using opened = await openServer('', 'https://tribo.example:8443');
    await opened.notifier.send({ id: 'n1', notice });
    const [mail = ''] = await opened.received();
    expect(JSON.parse(mail.slice(mail.indexOf('\n\n')))).toMatchObject({
      page: 'https://tribo.example:8443/#/machines/akron/press-7',
      reasons: [{ spectrum: 'https://tribo.example:8443/v1/waveforms/w%2F1/spectrum' }],
    });
  });

  it('signs in where the address has a user, on this machine without TLS', async () => {
    await using opened = await openServer('user:pass%20word@');
    await opened.notifier.send({ id: 'n1', notice });
    const plain = Buffer.from('\0user\0pass word').toString('base64');
    expect(opened.server.commands).toContain(`AUTH PLAIN ${plain}`);
  });

  it('reports a refused sign-in as permission_denied', async () => {
    await using opened = await openServer('user:wrong@');
    opened.server.answers.set('AUTH', '535 no');
    await expect(opened.notifier.send({ id: 'n1', notice })).rejects.toMatchObject({
      code: 'permission_denied',
    });
  });

  it('reports a mail that is refused after its content by what the server said', async () => {
    await using opened = await openServer();
    opened.server.answers.set('CONTENT', '452 mailbox full');
    await expect(opened.notifier.send({ id: 'n1', notice })).rejects.toMatchObject({ code: 'unavailable' });
    opened.server.answers.set('CONTENT', '554 spam');
    await expect(opened.notifier.send({ id: 'n1', notice })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });
});
