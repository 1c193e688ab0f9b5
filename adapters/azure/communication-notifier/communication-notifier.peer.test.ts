import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { CommunicationPeer, COMMUNICATION_SCOPE } from '#test/peers/communication.ts';
import { exchangesLike, goldenPairs, masked } from '#test/peers/golden-pairs.ts';
import { failure } from '#test/peers/key-vault.ts';
import { openCommunication } from './client.ts';
import { CommunicationNotifier } from './communication-notifier.ts';
import { communicationNotifierConfigSchema } from './config.ts';

const notice = sampleNotice(sampleActivation({ part: { message: 'hot' } }));

async function openPeer({ refusing = false, timeoutMs = 2000 } = {}) {
  const service = await CommunicationPeer.start();
  const scopes: (string | string[])[] = [];
  const credential = {
    getToken: async (asked: string | string[]) => {
      scopes.push(asked);
      const token = randomUUID();
      if (!refusing) service.tokens.add(token);
      return { token, expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  };
  const config = communicationNotifierConfigSchema.parse({
    ...{ endpoint: service.peer.url, timeoutMs },
    ...{ from: 'abc@domain.com', to: ['john.doe@domain.com', 'jane.doe@domain2.com'] },
  });
  const calls = await openCommunication(config, { credential, tlsOptions: { ca: service.peer.ca } });
  const notifier = CommunicationNotifier.over(config, calls);
  return {
    ...{ service, notifier, scopes },
    received: async () =>
      service.taken.map(
        ({ message }) => `${JSON.stringify(message['headers'])}\n${JSON.stringify(message['content'])}`,
      ),
    identityIn: (text: string) => /"X-Notification-ID":"([0-9a-f]{32})"/.exec(text)?.[1],
    behave: async (how: 'refusing' | 'failing' | 'hanging' | 'gone') => {
      if (how === 'gone') return service[Symbol.asyncDispose]();
      if (how === 'hanging') service.peer.disturbance = 'hanging';
      else if (how === 'refusing')
        service.peer.disturbance = failure(400, 'DomainNotLinked', 'The specified sender domain has not been linked.');
      else service.peer.disturbance = failure(503, 'ServiceUnavailable', 'as the service says');
    },
    [Symbol.asyncDispose]: async () => {
      await notifier.close();
      await service[Symbol.asyncDispose]();
    },
  };
}

describeContract(notifierContract, 'Communication Services (a peer of its REST API)', () => openPeer());

describe('the peer of Communication Services', () => {
  it.each(goldenPairs('communication'))('answers as Azure documents: $example', async (pair) => {
    await using opened = await openPeer({ timeoutMs: 10_000 });
    const { service, notifier } = opened;
    service.fate.polls = 1;
    await notifier.send({ id: 'n1', notice });
    service.fate.status = 'Failed';
    await notifier.send({ id: 'n2', notice }).catch(() => undefined);
    const alike = exchangesLike(pair, service.peer.exchanges);
    expect(alike.map(({ answer }) => masked(answer.body))).toContainEqual(masked(pair.answer));
    expect(JSON.parse(alike[0]!.request.body || '{}')).toMatchObject(pair.request.body ?? {});
  });
});

describe('mails by Communication Services', () => {
  it('are sent with a token for it, under an id that is the same for each attempt', async () => {
    await using opened = await openPeer();
    for (const id of ['n1', 'n1', 'n2']) await opened.notifier.send({ id, notice });
    expect(opened.scopes.flat()).toEqual([COMMUNICATION_SCOPE]);
    const [first, again, other] = opened.service.taken.map(({ operationId }) => operationId);
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([again, other === first]).toEqual([first, false]);
  });

  it('that Azure gives up are an error which trying again does not mend', async () => {
    await using opened = await openPeer();
    opened.service.fate.status = 'Failed';
    await expect(opened.notifier.send({ id: 'n1', notice })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('EmailDropped'),
    });
  });

  it('that Azure took and has not handed over in time are sent, once', async () => {
    await using opened = await openPeer({ timeoutMs: 500 });
    opened.service.fate.polls = 1000;
    await opened.notifier.send({ id: 'n1', notice });
    expect(opened.service.taken).toHaveLength(1);
  });

  it.each([
    [401, 'Denied', 'permission_denied'],
    [429, 'TooManyRequests', 'resource_exhausted'],
    [400, 'BadRequest', 'invalid_argument'],
    [500, 'InternalServerError', 'unavailable'],
  ] as const)('answered with %d %s are %s, after one attempt', async (status, code, expected) => {
    await using opened = await openPeer();
    opened.service.peer.disturbance = failure(status, code, 'as the service says');
    await expect(opened.notifier.send({ id: 'n1', notice })).rejects.toMatchObject({ code: expected });
    expect(opened.service.peer.exchanges).toHaveLength(1);
  });

  it('are not sent without a token that is good', async () => {
    await using opened = await openPeer({ refusing: true });
    await expect(opened.notifier.send({ id: 'n1', notice })).rejects.toMatchObject({ code: 'permission_denied' });
  });
});
