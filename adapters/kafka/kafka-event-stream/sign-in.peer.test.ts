import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { freePort } from '#test/peers/peer-process.ts';
import { awsTokens, entraTokens, googleTokens, type TokenService } from '#test/peers/kafka-tokens.ts';
import { Kafka } from '#test/peers/kafka.ts';
import { certificateAuthority, issuedCertificate } from '#test/support/self-signed-certificate.ts';
import { FORGOTTEN_CHECKPOINTS } from '#adapters/killed-process.ts';
import { kafkaEventStreamConfigSchema } from './config.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';

const PASSWORD_VARIABLE = 'TRIBO_TEST_KAFKA_PASSWORD';
const PREFIX = 'tribo.';
let kafka: Kafka;
let folder: string;
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-kafka-tls-'));
  const authority = certificateAuthority();
  const { cert, key } = issuedCertificate(authority);
  writeFileSync(join(folder, 'ca.pem'), authority.cert);
  const port = await freePort();
  address = `127.0.0.1:${port}`;
  kafka = await Kafka.start({ secured: { port, certificate: cert, key } });
  await kafka.createTopics([`${PREFIX}metrics`], { partitions: 2 });
}, 300_000);

afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function open(given: object): Promise<KafkaEventStream> {
  const place = { brokers: [address], prefix: PREFIX, streams: ['metrics'], timeoutMs: 10_000 };
  return KafkaEventStream.open(
    kafkaEventStreamConfigSchema.parse({ ...place, tls: { caFile: join(folder, 'ca.pem') }, ...given }),
    { checkpoints: FORGOTTEN_CHECKPOINTS },
  );
}

describe('signing in to Kafka over TLS', () => {
  it.each(['plain', 'scram-sha-256'])(
    'publishes with a user and a password from the environment (%s)',
    async (mechanism) => {
      process.env[PASSWORD_VARIABLE] = Kafka.password;
      const stream = await open({ sasl: { mechanism, username: Kafka.user, passwordVariable: PASSWORD_VARIABLE } });
      expect(await stream.publish('metrics', [sampleEvent('e-1')])).toEqual({ failed: [] });
      await stream.close();
    },
  );

  it('publishes with a token from a file', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, `${unsecuredToken()}\n`);
    const stream = await open({ sasl: { mechanism: 'oauthbearer', tokenFile } });
    expect(await stream.publish('metrics', [sampleEvent('e-2')])).toEqual({ failed: [] });
    await stream.close();
  });

  it('is permission_denied with a wrong password, soon and not as something missing', async () => {
    process.env[PASSWORD_VARIABLE] = 'guessed';
    const stream = await open({
      sasl: { mechanism: 'plain', username: Kafka.user, passwordVariable: PASSWORD_VARIABLE },
    });
    await expect(stream.publish('metrics', [sampleEvent('e-3')])).rejects.toMatchObject({ code: 'permission_denied' });
    await stream.close();
  });

  it('says which variable is to hold the password where it holds none', async () => {
    process.env[PASSWORD_VARIABLE] = '';
    const stream = await open({
      sasl: { mechanism: 'plain', username: Kafka.user, passwordVariable: PASSWORD_VARIABLE },
    });
    await expect(stream.publish('metrics', [sampleEvent('e-4')])).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining(PASSWORD_VARIABLE),
    });
    await stream.close();
  });

  it('is refused by a client that does not know the authority', async () => {
    const stream = await open({ tls: true });
    await expect(stream.publish('metrics', [sampleEvent('e-5')])).rejects.toMatchObject({ code: 'unavailable' });
    await stream.close();
  });
});

const NAMESPACE = 'akron-prod-streams.servicebus.windows.net';
const OTHER_NAMESPACE = 'akron-dev-streams.servicebus.windows.net';
const REGION = 'eu-central-1';
const CLOUDS = [
  {
    service: 'MSK with IAM',
    start: () => awsTokens(REGION),
    sasl: { mechanism: 'aws-msk-iam', region: REGION },
    fresh: { mechanism: 'aws-msk-iam', region: REGION },
    notTaken: () => ({ mechanism: 'aws-msk-iam', region: 'eu-west-1' }),
    cloud: 'AWS',
  },
  {
    service: 'Managed Service for Apache Kafka',
    start: () => googleTokens('tribo-akron@tribo-akron.iam.gserviceaccount.com'),
    sasl: { mechanism: 'gcp-managed-kafka' },
    fresh: { mechanism: 'gcp-managed-kafka' },
    notTaken: (tokenFile: string) => ({ mechanism: 'oauthbearer', tokenFile }),
    cloud: 'Google Cloud',
  },
  {
    service: "Event Hubs' Kafka endpoint",
    start: () => entraTokens(NAMESPACE),
    sasl: { mechanism: 'azure-event-hubs', namespace: NAMESPACE },
    // Azure's library keeps tokens by what they are for, for all of a process.
    fresh: { mechanism: 'azure-event-hubs', namespace: OTHER_NAMESPACE },
    notTaken: () => ({ mechanism: 'azure-event-hubs', namespace: OTHER_NAMESPACE }),
    cloud: 'Azure',
  },
];

describe.each(CLOUDS)(
  'signing in with the identity of the process, as at $service',
  ({ start, sasl, fresh, notTaken, cloud }) => {
    let service: TokenService;
    let broker: Kafka;
    let place: string;
    beforeAll(async () => {
      service = await start();
      const authority = certificateAuthority();
      const { cert, key } = issuedCertificate(authority);
      const port = await freePort();
      place = `127.0.0.1:${port}`;
      writeFileSync(join(folder, 'clouds-ca.pem'), authority.cert);
      broker = await Kafka.start({ secured: { port, certificate: cert, key, tokens: service.tokens } });
      await broker.createTopics([`${PREFIX}metrics`], { partitions: 2 });
    }, 300_000);
    afterAll(async () => {
      await broker[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    });

    const openWith = (given: object) =>
      open({ brokers: [place], tls: { caFile: join(folder, 'clouds-ca.pem') }, sasl: given });

    it('publishes, and renews the token before the broker ends the session', async () => {
      const stream = await openWith(sasl);
      const endMs = Date.now() + 7_000;
      for (let i = 0; Date.now() < endMs; i++)
        expect(await stream.publish('metrics', [sampleEvent(`renewed-${i}`)])).toEqual({ failed: [] });
      expect(service.given()).toBeGreaterThan(1);
      await stream.close();
    });

    it.each([
      ['refuses', { status: 400, body: '{"error":"invalid_grant"}' }],
      ['forbids', { status: 403, body: '{"error":"forbidden"}' }],
    ])('is permission_denied where the cloud %s a token, and says that it was the sign-in', async (_what, answer) => {
      await service.whileItAnswers(answer, async () => {
        const stream = await openWith(fresh);
        await expect(stream.publish('metrics', [sampleEvent('e-6')])).rejects.toMatchObject({
          code: 'permission_denied',
          message: expect.stringContaining(`signing in to ${cloud}: `),
        });
        await stream.close();
      });
    });

    it('is deadline_exceeded where the cloud does not answer who asks for a token', async () => {
      await service.whileItAnswers('hang', async () => {
        const stream = await openWith(fresh);
        await expect(stream.publish('metrics', [sampleEvent('e-8')])).rejects.toMatchObject({
          code: 'deadline_exceeded',
          message: expect.stringContaining(`signing in to ${cloud}: no answer within 7000 ms`),
        });
        await stream.close();
      });
    });

    it('is permission_denied with a token that is not of the service, or not for it', async () => {
      const tokenFile = join(folder, 'token-of-nobody');
      writeFileSync(tokenFile, unsecuredToken());
      const stream = await openWith(notTaken(tokenFile));
      await expect(stream.publish('metrics', [sampleEvent('e-7')])).rejects.toMatchObject({
        code: 'permission_denied',
        message: expect.stringContaining('refuses the token'),
      });
      await stream.close();
    });
  },
);

/** A JWT without a signature, as Kafka's own validator for development takes it. */
function unsecuredToken(): string {
  const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  const nowS = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none' })}.${part({ sub: 'tribo', iat: nowS, exp: nowS + 3600 })}.`;
}
