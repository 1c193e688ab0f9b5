import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { Kafka, type KafkaTokens } from './kafka.ts';
import { WireServer, type Fault, type WireAnswer, type WireRequest } from './wire-server.ts';

const run = promisify(execFile);
/** A library of a cloud's asks anew five minutes before the end of a token: one that it keeps for two seconds. */
const LIFETIME_S = 302;
/** How long a broker hears a client before it wants a token again: tokens are renewed within a test. */
const SESSION_MS = 2_500;
const SECRET = 'of-this-machine';
/** Of the listener alone; what the handler itself is told, and when sessions end, a broker takes without such a begin only. */
const HANDLER = 'listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class';
const ISSUER = 'https://sts.windows.net/4f1c0f0e-2f0b-4a51-9f6e-1c6a7e6c1b11/';

type TokenFault = Exclude<Fault, 'reset'>;

/** Where a cloud's processes get tokens, on this machine, and what a broker has to know to take them alone. */
export interface TokenService extends AsyncDisposable {
  /** For a broker's listener. */
  readonly tokens: KafkaTokens;
  /** How many tokens were given, or credentials that sign them. */
  given(): number;
  /** Whoever asks for a token meanwhile is answered so, or not at all. */
  whileItAnswers(answer: TokenFault, work: () => Promise<void>): Promise<void>;
}

/**
 * The metadata server of a machine of Google's (https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys), which the default credentials
 * of this process ask from now on, and a broker that takes its tokens in the form of Managed Service for Apache Kafka.
 */
export async function googleTokens(account: string): Promise<TokenService> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-kafka-google-'));
  const tokensFile = join(folder, 'tokens');
  writeFileSync(tokensFile, '');
  await compile('GoogleTokens', folder);
  let given = 0;
  const service = await FaultyService.start((request) =>
    metadataOf(request, account, () => {
      const token = `ya29.c.${given++}_${randomUUID()}`;
      appendFileSync(tokensFile, `${token} ${account} ${Math.floor(Date.now() / 1000) + LIFETIME_S}\n`);
      return token;
    }),
  );
  Object.assign(process.env, {
    GCE_METADATA_HOST: new URL(service.url).host,
    // Else the library looks for it for three seconds.
    METADATA_SERVER_DETECTION: 'assume-present',
  });
  const tokens: KafkaTokens = {
    classes: folder,
    loginClaims: { given: tokensFile },
    properties: {
      [HANDLER]: 'GoogleTokens',
      'connections.max.reauth.ms': String(SESSION_MS),
    },
  };
  return offered(service, folder, { tokens, given: () => given });
}

/**
 * The managed identity of an App Service (https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference), which the
 * default chain of this process asks from now on, for tokens that Entra would sign, and a broker that checks them by Apache's own validator: signature,
 * issuer, end, and that they are for the namespace.
 */
export async function entraTokens(namespace: string): Promise<TokenService> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-kafka-entra-'));
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const keysFile = join(folder, 'keys.json');
  const key = { ...(await exportJWK(publicKey)), kid: 'of-this-test', alg: 'RS256', use: 'sig' };
  writeFileSync(keysFile, JSON.stringify({ keys: [key] }));
  let given = 0;
  const service = await FaultyService.start(async (request) => {
    const resource = new URL(request.path, 'http://identity').searchParams.get('resource');
    if (request.headers['x-identity-header'] !== SECRET || resource === null)
      return { status: 400, body: '{"error":"invalid_request"}' };
    given += 1;
    const endS = Math.floor(Date.now() / 1000) + LIFETIME_S;
    const access_token = await signedToken(privateKey, resource, endS);
    return {
      status: 200,
      body: JSON.stringify({ access_token, expires_on: String(endS), resource, token_type: 'Bearer' }),
    };
  });
  Object.assign(process.env, {
    IDENTITY_ENDPOINT: `${service.url}/msi/token`,
    IDENTITY_HEADER: SECRET,
    // Of the default chain, the link of machines of Azure.
    AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
  });
  const keysUrl = `file://${keysFile}`;
  const tokens: KafkaTokens = {
    javaOptions: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${keysUrl}`],
    properties: {
      [HANDLER]: 'org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler',
      // The default one of this version looks at no signature, issuer or audience.
      'sasl.oauthbearer.jwt.validator.class': 'org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator',
      'sasl.oauthbearer.jwks.endpoint.url': keysUrl,
      'sasl.oauthbearer.expected.issuer': ISSUER,
      'sasl.oauthbearer.expected.audience': `https://${namespace}`,
      'connections.max.reauth.ms': String(SESSION_MS),
    },
  };
  return offered(service, folder, { tokens, given: () => given });
}

/**
 * The credentials of a container's role (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html), which the default chain of
 * this process asks for from now on, and a broker that takes what they sign in the form of MSK's IAM, in that region.
 */
export async function awsTokens(region: string): Promise<TokenService> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-kafka-aws-'));
  const credentialsFile = join(folder, 'credentials');
  writeFileSync(credentialsFile, '');
  await compile('AwsTokens', folder);
  let given = 0;
  const service = await FaultyService.start(({ headers }) => {
    if (headers.authorization !== SECRET) return { status: 401, body: '{"message":"Unauthorized"}' };
    given += 1;
    const [key, secret, session] = [randomUUID(), randomUUID(), `${randomUUID()}+/=`];
    appendFileSync(credentialsFile, `${key} ${secret} ${session}\n`);
    const Expiration = new Date(Date.now() + 3_600_000).toISOString();
    const body = { AccessKeyId: key, SecretAccessKey: secret, Token: session, Expiration };
    return { status: 200, body: JSON.stringify(body) };
  });
  // Of the chain, what comes before a container's role is in the environment and in files.
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_PROFILE'];
  Object.assign(process.env, {
    AWS_CONFIG_FILE: join(folder, 'none'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${service.url}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: SECRET,
  });
  const tokens: KafkaTokens = {
    classes: folder,
    loginClaims: { given: credentialsFile, region },
    properties: { [HANDLER]: 'AwsTokens', 'connections.max.reauth.ms': String(SESSION_MS) },
  };
  return offered(service, folder, { tokens, given: () => given });
}

/** A class beside this file, which the broker runs. */
async function compile(name: string, into: string): Promise<void> {
  const libraries = join(await Kafka.folder(), 'libs', '*');
  const here = import.meta.dirname;
  await run('javac', ['-d', into, '-cp', libraries, '-sourcepath', here, join(here, `${name}.java`)]);
}

function signedToken(key: CryptoKey, audience: string, endS: number): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'RS256', kid: 'of-this-test', typ: 'JWT' })
    .setIssuer(ISSUER)
    .setAudience(audience)
    .setSubject('e2b5d1f6-6f0b-4c7e-9d86-5a4b8b7c2f10')
    .setIssuedAt()
    .setExpirationTime(endS)
    .sign(key);
}

function metadataOf({ path, headers }: WireRequest, account: string, newToken: () => string): WireAnswer {
  const flavor = { 'metadata-flavor': 'Google' };
  if (headers['metadata-flavor'] !== 'Google') return { status: 403, body: '' };
  const place = path.replace('/computeMetadata/v1/', '').replace(/\?.*$/, '');
  if (place === 'instance/service-accounts/default/token') {
    const body = JSON.stringify({ access_token: newToken(), expires_in: LIFETIME_S, token_type: 'Bearer' });
    return { status: 200, headers: flavor, body };
  }
  const texts: Readonly<Record<string, string>> = {
    'instance/service-accounts/default/email': account,
    'universe/universe-domain': 'googleapis.com',
    'project/project-id': 'tribo-akron',
  };
  const body = texts[place] ?? '';
  const isKnown = place in texts || place.startsWith('instance');
  return { status: isKnown ? 200 : 404, headers: { ...flavor, 'content-type': 'text/plain' }, body };
}

/** What a test has of it. */
function offered(service: FaultyService, folder: string, given: Pick<TokenService, 'tokens' | 'given'>): TokenService {
  return {
    ...given,
    whileItAnswers: (answer, work) => service.whileItAnswers(answer, work),
    [Symbol.asyncDispose]: async () => {
      await service[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Answers as it should, unless it is told otherwise. */
class FaultyService implements AsyncDisposable {
  readonly #wire: WireServer;
  readonly #fault: { answer: TokenFault | undefined };

  static async start(answer: (request: WireRequest) => Promise<WireAnswer> | WireAnswer): Promise<FaultyService> {
    const fault: { answer: TokenFault | undefined } = { answer: undefined };
    const wire = await WireServer.start((request) =>
      fault.answer === 'hang' ? new Promise<WireAnswer>(() => undefined) : (fault.answer ?? answer(request)),
    );
    return new FaultyService(wire, fault);
  }

  private constructor(wire: WireServer, fault: { answer: TokenFault | undefined }) {
    this.#wire = wire;
    this.#fault = fault;
  }

  get url(): string {
    return this.#wire.url;
  }

  async whileItAnswers(answer: TokenFault, work: () => Promise<void>): Promise<void> {
    this.#fault.answer = answer;
    try {
      await work();
    } finally {
      this.#fault.answer = undefined;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#wire[Symbol.asyncDispose]();
  }
}
