import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SESv2 } from '@aws-sdk/client-sesv2';
import type { SNS } from '@aws-sdk/client-sns';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { CognitoPool } from '../moto-cognito.ts';
import { Moto } from '../moto.ts';
import { startVerify, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 180_000;
const REGION = 'eu-central-1';
const FROM = 'tribo@example.org';
const TEST_MESSAGE = 'This is a test of notifications by tribo verify';
const NOBODY = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true' };

let moto: Moto;
let sns: SNS;
let ses: SESv2;
let pool: CognitoPool;
beforeAll(async () => {
  moto = await Moto.start();
  const [{ SNS }, { SESv2 }] = await Promise.all([import('@aws-sdk/client-sns'), import('@aws-sdk/client-sesv2')]);
  const place = { region: REGION, endpoint: moto.endpoint };
  [sns, ses] = [new SNS(place), new SESv2(place)];
  await ses.createEmailIdentity({ EmailIdentity: FROM });
  pool = await CognitoPool.create(moto);
}, 300_000);
afterAll(async () => {
  sns.destroy();
  ses.destroy();
  await moto[Symbol.asyncDispose]();
});

const place = () => ({ region: REGION, endpoint: moto.endpoint });

/** A topic that posts to a server on this machine. */
async function openTopic() {
  const posts: string[] = [];
  const subscriber = await startHttpReceiver((_request, response, body) => {
    posts.push(body.toString());
    response.end();
  });
  const { TopicArn = '' } = await sns.createTopic({ Name: 'alarms' });
  await sns.subscribe({ TopicArn, Protocol: 'http', Endpoint: subscriber.url });
  return { topicArn: TopicArn, posts, [Symbol.asyncDispose]: () => subscriber[Symbol.asyncDispose]() };
}

const topicOf = (topicArn: string) => ({ notifiers: [{ adapter: 'sns-notifier', ...place(), topicArn }] });
const mailsFrom = (from: string) => ({
  notifiers: [{ adapter: 'ses-notifier', ...place(), from, to: ['shift@example.org'] }],
});

async function mails(): Promise<string> {
  return (await fetch(`${moto.endpoint}/moto-api/data.json`)).text();
}

describe('tribo verify of SNS and SES', () => {
  it(
    'has a topic and a mail server take a message that says that it is a test',
    async () => {
      await using topic = await openTopic();
      const notifiers = [...topicOf(topic.topicArn).notifiers, ...mailsFrom(FROM).notifiers];
      const { code, ports } = await verifySite({ notifiers }, ['--notify']);
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [
          { adapter: 'sns-notifier', ok: true, passed: 1, problems: [] },
          { adapter: 'ses-notifier', ok: true, passed: 1, problems: [] },
        ],
      });
      expect(topic.posts).toEqual([expect.stringContaining(TEST_MESSAGE)]);
      expect(await mails()).toContain(TEST_MESSAGE);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['the topic is not there', () => topicOf(`arn:aws:sns:${REGION}:123456789012:nobodys`), {}, /not_found/],
    ['the sender is not verified', () => mailsFrom('nobody@example.org'), {}, /nobody@example.org/],
    ['nobody is signed in', () => mailsFrom(FROM), NOBODY, /permission_denied/],
  ])(
    'fails where %s, and says so',
    async (_what, site, env, says) => {
      const { code, stdout } = await startVerify(site(), ['--notify'], env).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});

describe('tribo verify of a user pool of Cognito', () => {
  const poolOf = (given: object = {}) => {
    const { region, userPoolId, clientId, jwksUri } = pool;
    const ours = { adapter: 'cognito-identity-verifier', region, userPoolId, clientIds: [clientId], jwksUri };
    return { identityVerifiers: { ...ours, tenant: { is: 'akron' }, ...given } };
  };

  it(
    'finds the key that it signs by, and compares the clocks',
    async () => {
      const { code, ports } = await verifySite(poolOf());
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 2, failed: [], problems: [] }] });
      expect(ports[0]!.leftOut).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  it.each([
    // The peer gives its keys for any pool.
    ['it has no keys there', () => ({ jwksUri: `${moto.endpoint}/nobodys/keys` }), /\/nobodys\/keys answered 4\d\d/],
    ['nobody answers', () => ({ jwksUri: 'http://127.0.0.1:1/keys' }), /unavailable: [^]*-> see that the service runs/],
  ])(
    'fails where %s, and says so',
    async (_what, change, says) => {
      const { code, stdout } = await startVerify(poolOf(change())).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});
