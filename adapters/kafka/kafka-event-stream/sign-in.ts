import { readFileSync } from 'node:fs';
import type * as Sdk from '@platformatic/kafka';
import type { GoogleAuth } from 'google-auth-library';
import { messageOf, PortError } from '#core/errors.ts';
import { loadSdk } from '../../sdk.ts';
import { codeOfSignIn, kafkaCall } from '../kafka-errors.ts';
import type { KafkaEventStreamConfig } from './config.ts';

type Sasl = NonNullable<KafkaEventStreamConfig['sasl']>;

/**
 * How the client shows who it is. Secrets are read, and tokens asked for, at each connection and at each renewal that the broker wants: one that was
 * rotated is taken without a restart.
 */
export async function saslOf(sasl: Sasl, connectTimeoutMs: number): Promise<Sdk.SASLOptions> {
  switch (sasl.mechanism) {
    case 'oauthbearer':
      return bearer(() => readFileSync(sasl.tokenFile, 'utf8').trim());
    case 'aws-msk-iam': {
      const { generateAuthToken } = await loadSdk('Kafka', () => import('aws-msk-iam-sasl-signer-js'));
      const ask = async () => (await generateAuthToken({ region: sasl.region })).token;
      return bearer(signIn('AWS', connectTimeoutMs, ask));
    }
    case 'gcp-managed-kafka': {
      const sdk = await loadSdk('Google Cloud', () => import('google-auth-library'));
      // It keeps a token until five minutes before its end.
      const auth = new sdk.GoogleAuth({ scopes: GOOGLE_SCOPE });
      return bearer(signIn('Google Cloud', connectTimeoutMs, () => googleToken(auth)));
    }
    case 'azure-event-hubs': {
      const { DefaultAzureCredential } = await loadSdk('Azure', () => import('@azure/identity'));
      // The library keeps a token as long as it is good; who connects again asks again.
      const credential = new DefaultAzureCredential({ retryOptions: { maxRetries: 0 } });
      const scope = `https://${sasl.namespace}/.default`;
      const ask = async () => (await credential.getToken(scope)).token;
      return bearer(signIn('Azure', connectTimeoutMs, ask));
    }
    default: {
      const { username, passwordVariable } = sasl;
      return { mechanism: SASL_NAMES[sasl.mechanism], username, password: () => secretOf(passwordVariable) };
    }
  }
}

const SASL_NAMES = { plain: 'PLAIN', 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const;
const GOOGLE_SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
/** Of the time that a connection may take to be made: the sign-in ends first, and says why. */
const SHARE_OF_CONNECTING = 0.7;
/** Longer than the client goes on repeating a connection. */
const FAILURE_KEPT_MS = 3_000;
/** What Google's brokers call a token of this form. */
const GOOGLE_HEADER = { typ: 'JWT', alg: 'GOOG_OAUTH2_TOKEN' };

function bearer(token: () => string | Promise<string>): Sdk.SASLOptions {
  return { mechanism: 'OAUTHBEARER', token, authBytesValidator: refuseChallenge };
}

/**
 * A broker that refuses a token says so in a challenge, to which only its own error would follow (RFC 7628, 3.2.2): the client would take it for a
 * success, and be cut off at its next request.
 */
function refuseChallenge(challenge: Buffer, done: (error: Error | null, challenge?: Buffer) => void): void {
  if (challenge.length === 0) done(null, challenge);
  else done(new PortError('permission_denied', `the broker refuses the token: ${challenge.toString('utf8')}`));
}

/**
 * The access token of the default credentials as Managed Service for Apache Kafka takes it: in the place of a JWT's signature, behind whose it is.
 * https://github.com/googleapis/managedkafka has the form, in Google's own handlers of sign-ins.
 */
async function googleToken(auth: GoogleAuth): Promise<string> {
  const [client, { client_email: account }] = await Promise.all([auth.getClient(), auth.getCredentials()]);
  const { token } = await client.getAccessToken();
  const { expiry_date: endMs } = client.credentials;
  if (!account || !token || !endMs)
    throw new PortError(
      'permission_denied',
      'Managed Service for Apache Kafka takes service accounts alone: have the default credentials be one, or impersonate one',
    );
  const [nowS, endS] = [Date.now(), endMs].map((ms) => Math.floor(ms / 1000));
  const claims = { exp: endS, iat: nowS, scope: 'kafka', sub: account };
  return [JSON.stringify(GOOGLE_HEADER), JSON.stringify(claims), token]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
}

/**
 * A service of tokens that is silent holds no connection for ever, and its errors are not those of a request. A failure is answered again for a while:
 * the client repeats a connection that failed, whatever the reason, and would be out of time before it could tell it.
 */
function signIn(cloud: string, connectTimeoutMs: number, ask: () => Promise<string>): () => Promise<string> {
  const what = `signing in to ${cloud}`;
  let failed: { readonly token: Promise<string>; readonly untilMs: number } | undefined;
  return () => {
    if (failed && performance.now() < failed.untilMs) return failed.token;
    const token = kafkaCall(what, connectTimeoutMs * SHARE_OF_CONNECTING, () =>
      ask().catch((error: unknown) => {
        if (error instanceof PortError) throw error;
        throw new PortError(codeOfSignIn(error), `${what}: ${messageOf(error)}`, { cause: error });
      }),
    );
    token.catch(() => {
      failed = { token, untilMs: performance.now() + FAILURE_KEPT_MS };
    });
    return token;
  };
}

function secretOf(variable: string): string {
  const secret = process.env[variable];
  if (secret !== undefined && secret !== '') return secret;
  throw new PortError(
    'failed_precondition',
    `the environment variable ${variable} is to hold the password for Kafka: set it`,
  );
}
