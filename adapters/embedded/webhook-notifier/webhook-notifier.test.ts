import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import type { AlarmNotice } from '#core/ports/alarm-journal.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { webhookNotifierConfigSchema } from './config.ts';
import { WebhookNotifier } from './webhook-notifier.ts';

const SECRET = 'a secret of sixteen characters';
const NOW_MS = 1_795_222_800_000;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A real receiver on loopback that answers as it is told. */
async function openReceiver({ timeoutMs = 2000, publicUrl }: { timeoutMs?: number; publicUrl?: string } = {}) {
  const requests: Received[] = [];
  let answer: number | 'never' = 202;
  const server = await startHttpReceiver(({ headers }, response, body) => {
    if (answer === 'never') return;
    if (answer < 300) requests.push({ headers, body: body.toString() });
    response.writeHead(answer, answer >= 300 && answer < 400 ? { location: 'http://169.254.169.254/' } : {}).end('ok');
  });
  const url = `${server.url}/hook`;
  const config = webhookNotifierConfigSchema.parse({ url, secret: SECRET, timeoutMs, publicUrl });
  const notifier = new WebhookNotifier(config, new HeldClock(NOW_MS));
  return {
    notifier,
    requests,
    answerWith: (status: number) => {
      answer = status;
    },
    received: async () => requests.map(({ headers, body }) => JSON.stringify(headers) + body),
    identityIn: (text: string) => /"idempotency-key":"([^"]+)"/.exec(text)?.[1],
    behave: async (how: 'refusing' | 'failing' | 'hanging' | 'gone') => {
      if (how === 'gone') return server[Symbol.asyncDispose]();
      answer = how === 'hanging' ? 'never' : how === 'refusing' ? 422 : 503;
    },
    [Symbol.asyncDispose]: async () => {
      await notifier.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

describeContract(notifierContract, 'webhook', () => openReceiver());

function raised(parts = 1): AlarmNotice {
  const activation = (i: number) =>
    sampleActivation({ id: `t${i}`, rule: `rule-${i}`, atMs: NOW_MS, part: { message: 'hot'.repeat(1500) } });
  return sampleNotice(activation(0), ...Array.from({ length: parts - 1 }, (_, i) => activation(i + 1)));
}

describe('webhook notifier', () => {
  it('posts a CloudEvent, signed over id, time and body', async () => {
    await using receiver = await openReceiver();
    await receiver.notifier.send({ id: 'n1', notice: raised() });
    const { headers, body } = receiver.requests[0]!;
    const signature = createHmac('sha256', SECRET)
      .update(`n1.${NOW_MS / 1000}.${body}`)
      .digest('base64');
    expect(headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'idempotency-key': 'n1',
      'webhook-id': 'n1',
      'webhook-timestamp': String(NOW_MS / 1000),
      'webhook-signature': `v1,${signature}`,
    });
    expect(JSON.parse(body)).toMatchObject({
      specversion: '1.0',
      id: 'n1',
      type: 'io.tribo.alarm.raised',
      source: '/tenants/north/sites/akron/machines/press-7',
      subject: 't0',
      time: new Date(NOW_MS).toISOString(),
      datacontenttype: 'application/json',
      data: { change: 'raised', alarm: { priority: 'high', parts: [{ rule: { id: 'rule-0', version: 3 } }] } },
    });
  });

  it('links to the machine where the address of the page is known', async () => {
    await using receiver = await openReceiver({ publicUrl: 'https://tribo.example' });
    await receiver.notifier.send({ id: 'n1', notice: raised() });
    expect(JSON.parse(receiver.requests[0]!.body)).toMatchObject({
      data: { page: 'https://tribo.example/#/machines/akron/press-7' },
    });
  });

  it('stays within the size of a CloudEvent, and says what it left out', async () => {
    await using receiver = await openReceiver();
    await receiver.notifier.send({ id: 'n1', notice: raised(32) });
    const { body } = receiver.requests[0]!;
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(64 * 1024);
    const { data } = JSON.parse(body) as { data: { partsLeftOut: number; alarm: { parts: unknown[] } } };
    expect(data.partsLeftOut + data.alarm.parts.length).toBe(32);
  });

  it.each([
    [301, 'failed_precondition'],
    [307, 'failed_precondition'],
    [400, 'invalid_argument'],
    [401, 'permission_denied'],
    [404, 'not_found'],
    [409, 'unavailable'],
    [429, 'resource_exhausted'],
    [500, 'unavailable'],
  ])('reports the answer %d as %s, and follows no redirect', async (status, code) => {
    await using receiver = await openReceiver();
    receiver.answerWith(status);
    await expect(receiver.notifier.send({ id: 'n1', notice: raised() })).rejects.toMatchObject({ code });
  });
});
