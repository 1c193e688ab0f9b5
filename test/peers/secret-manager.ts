import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import type { ChannelCredentials, sendUnaryData, Server, ServerUnaryCall, ServiceError } from '@grpc/grpc-js';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import type { Exchange } from './tls-peer.ts';

/** The codes of gRPC that Secret Manager answers with. */
const CODE = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  FAILED_PRECONDITION: 9,
  UNAUTHENTICATED: 16,
} as const;
const MAX_BYTES = 65_536;

interface Version {
  readonly name: string;
  readonly data: Buffer;
  readonly createTime: { readonly seconds: number };
  state: 'ENABLED' | 'DISABLED' | 'DESTROYED';
}

interface Secret {
  readonly replication: unknown;
  readonly versions: Version[];
}

type Fields = Readonly<Record<string, unknown>>;
type Handler = (request: Fields) => object;

/**
 * A peer of Google's Secret Manager: a gRPC server over TLS that speaks the messages of the protos which the SDK ships, as
 * https://cloud.google.com/secret-manager/docs/reference/rpc says, and asks for a bearer token. Its state is in memory.
 */
export class SecretManagerPeer implements AsyncDisposable {
  readonly port: number;
  /** For a client of it: TLS that trusts it, and a token that it takes. */
  readonly credentials: ChannelCredentials;
  /** As `credentials`, with a token that it does not take. */
  readonly refusedCredentials: ChannelCredentials;
  /** What it was asked for, by the method's name. */
  readonly calls: { readonly method: string; readonly request: Fields }[];
  readonly secrets: Map<string, Secret>;
  /** What it was asked, and answered, as HTTP/2 carries it, in the JSON of protocol buffers; the status is gRPC's code. */
  readonly exchanges: Exchange[] = [];
  /** What it answers with instead of what it would, and `hanging` for nothing at all. */
  disturbance: { readonly code: number; readonly details: string } | 'hanging' | undefined;
  readonly #server: Server;

  static async start(): Promise<SecretManagerPeer> {
    const grpc = await import('@grpc/grpc-js');
    const { fromJSON } = await import('@grpc/proto-loader');
    const protos = createRequire(import.meta.url)(
      '@google-cloud/secret-manager/build/protos/protos.json',
    ) as Parameters<typeof fromJSON>[0];
    const definition = grpc.loadPackageDefinition(
      fromJSON(protos, { enums: String, longs: Number, defaults: true, oneofs: true }),
    );
    const { SecretManagerService } = (definition as unknown as Loaded).google.cloud.secretmanager.v1;
    const { cert, key } = selfSignedCertificate();
    const token = randomUUID();
    const server = new grpc.Server();
    const tls = grpc.ServerCredentials.createSsl(null, [
      { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) },
    ]);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', tls, (error, bound) => (error ? reject(error) : resolve(bound))),
    );
    const credentialsWith = (bearer: string): ChannelCredentials =>
      grpc.credentials.combineChannelCredentials(
        grpc.credentials.createSsl(Buffer.from(cert)),
        grpc.credentials.createFromMetadataGenerator((_parameters, done) => {
          const metadata = new grpc.Metadata();
          metadata.set('authorization', `Bearer ${bearer}`);
          done(null, metadata);
        }),
      );
    // Else the SDK looks for a metadata server of Google's, also for a server on this machine.
    process.env['METADATA_SERVER_DETECTION'] = 'none';
    const peer = new SecretManagerPeer(server, port, credentialsWith(token), credentialsWith('of-nobody'));
    server.addService(SecretManagerService.service, peer.#service(token));
    return peer;
  }

  private constructor(server: Server, port: number, credentials: ChannelCredentials, refused: ChannelCredentials) {
    this.#server = server;
    this.port = port;
    this.credentials = credentials;
    this.refusedCredentials = refused;
    this.calls = [];
    this.secrets = new Map();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #service(token: string) {
    const handlers = handlersOf(this.secrets);
    return Object.fromEntries(
      Object.entries(handlers).map(([method, handler]) => [
        method,
        ({ request, metadata }: ServerUnaryCall<Fields, object>, done: sendUnaryData<object>) => {
          this.calls.push({ method, request });
          if (this.disturbance === 'hanging') return;
          try {
            if (metadata.get('authorization')[0] !== `Bearer ${token}`)
              throw failure(CODE.UNAUTHENTICATED, 'Request had invalid authentication credentials.');
            if (this.disturbance) throw failure(this.disturbance.code, this.disturbance.details);
            const answer = handler(request);
            this.exchanges.push(exchangeOf(method, request, 0, answer));
            done(null, answer);
          } catch (error) {
            const { code, details: message } = error as ServiceError;
            this.exchanges.push(exchangeOf(method, request, code, { code, message }));
            done(error as ServiceError);
          }
        },
      ]),
    );
  }
}

interface Loaded {
  readonly google: {
    readonly cloud: {
      readonly secretmanager: {
        readonly v1: { readonly SecretManagerService: { readonly service: Parameters<Server['addService']>[0] } };
      };
    };
  };
}

function handlersOf(secrets: Map<string, Secret>): Readonly<Record<string, Handler>> {
  const secretAt = (name: string): Secret => {
    const secret = secrets.get(name);
    if (!secret) throw failure(CODE.NOT_FOUND, `Secret [${name}] not found.`);
    return secret;
  };
  return {
    createSecret: ({ parent, secretId, secret }) => {
      const name = `${String(parent)}/secrets/${String(secretId)}`;
      const { replication } = (secret ?? {}) as { readonly replication?: { readonly replication?: string } | null };
      if (!/^[A-Za-z0-9_-]{1,255}$/.test(String(secretId)))
        throw failure(
          CODE.INVALID_ARGUMENT,
          `The provided Secret ID [${String(secretId)}] does not match the expected format [[a-zA-Z_0-9]+]`,
        );
      if (!replication?.replication) throw failure(CODE.INVALID_ARGUMENT, 'Secret.replication is required.');
      if (secrets.has(name)) throw failure(CODE.ALREADY_EXISTS, `Secret [${name}] already exists.`);
      secrets.set(name, { replication, versions: [] });
      return { name, replication, createTime: now(), etag: `"${randomUUID()}"` };
    },
    addSecretVersion: ({ parent, payload }) => {
      const secret = secretAt(String(parent));
      const { data } = (payload ?? {}) as { readonly data?: Buffer };
      if (!data?.length) throw failure(CODE.INVALID_ARGUMENT, 'Secret Payload cannot be empty.');
      if (data.length > MAX_BYTES)
        throw failure(CODE.INVALID_ARGUMENT, `The size of the payload exceeds the maximum of ${MAX_BYTES} bytes.`);
      const name = `${String(parent)}/versions/${secret.versions.length + 1}`;
      const version: Version = { name, data, createTime: now(), state: 'ENABLED' };
      secret.versions.push(version);
      return described(version);
    },
    accessSecretVersion: ({ name }) => {
      const [, of = '', id = ''] = /^(.+)\/versions\/(.+)$/.exec(String(name)) ?? [];
      const versions = secrets.get(of)?.versions ?? [];
      const version = id === 'latest' ? versions.at(-1) : versions[Number(id) - 1];
      if (!version) throw failure(CODE.NOT_FOUND, `Secret [${of}] not found or has no versions.`);
      if (version.state !== 'ENABLED')
        throw failure(CODE.FAILED_PRECONDITION, `Secret Version [${version.name}] is in ${version.state} state.`);
      return { name: version.name, payload: { data: version.data } };
    },
    listSecretVersions: ({ parent, filter, pageSize }) => {
      const wanted = /^state:([A-Z]+)$/.exec(String(filter))?.[1];
      const found = secretAt(String(parent)).versions.filter(({ state }) => wanted === undefined || state === wanted);
      const newestFirst = found.toReversed();
      return { versions: newestFirst.slice(0, Number(pageSize) || 25_000).map(described), totalSize: found.length };
    },
    destroySecretVersion: ({ name }) => {
      const [, of = '', id = ''] = /^(.+)\/versions\/(\d+)$/.exec(String(name)) ?? [];
      const version = secretAt(of).versions[Number(id) - 1];
      if (!version) throw failure(CODE.NOT_FOUND, `Secret Version [${String(name)}] not found.`);
      if (version.state === 'DESTROYED')
        throw failure(CODE.FAILED_PRECONDITION, `Secret Version [${String(name)}] is already destroyed.`);
      version.state = 'DESTROYED';
      return described(version);
    },
    deleteSecret: ({ name }) => {
      secretAt(String(name));
      secrets.delete(String(name));
      return {};
    },
  };
}

function exchangeOf(method: string, asked: Fields, status: number, answer: object): Exchange {
  const rpc = method[0]!.toUpperCase() + method.slice(1);
  const url = new URL(`https://host/google.cloud.secretmanager.v1.SecretManagerService/${rpc}`);
  const request = { method: 'POST', url, headers: {}, body: inJson(asked) };
  return { request, answer: { status, body: JSON.parse(inJson(answer)) as unknown } };
}

/** Bytes in base64. */
function inJson(message: object): string {
  return JSON.stringify(message, (_name, value: unknown) => {
    const bytes = value as { readonly type?: unknown; readonly data?: unknown } | null;
    return bytes?.type === 'Buffer' ? Buffer.from(bytes.data as number[]).toString('base64') : value;
  });
}

function described({ name, createTime, state }: Version) {
  return { name, createTime, state, etag: `"${randomUUID()}"` };
}

function failure(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details });
}

function now() {
  return { seconds: Math.floor(Date.now() / 1000) };
}
