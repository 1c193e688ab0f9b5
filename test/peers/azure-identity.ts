import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WireServer, type WireAnswer, type WireRequest } from './wire-server.ts';

const LIFETIME_S = 3600;

/** A service of Azure's on this machine. */
interface AzureService {
  /** What tokens for it are for. */
  readonly resource: string;
  /** Tokens that it takes. */
  readonly tokens: Set<string>;
  /** Of its certificates. */
  readonly authorities: readonly string[];
}

/**
 * The identity of processes that have nothing but the default chain: in their environment are the endpoint of a managed identity, as App Service and
 * Container Apps have it (https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference), and the authorities of
 * the services' certificates.
 */
export class AzureIdentity implements AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  readonly #parts: AsyncDisposableStack;

  static async start(services: readonly AzureService[]): Promise<AzureIdentity> {
    await using parts = new AsyncDisposableStack();
    const secret = randomUUID();
    const identity = parts.use(await WireServer.start((request) => tokenFor(request, secret, services)));
    const folder = mkdtempSync(join(tmpdir(), 'tribo-azure-'));
    parts.defer(() => rmSync(folder, { recursive: true }));
    const authorities = join(folder, 'authorities.pem');
    writeFileSync(authorities, services.flatMap((service) => service.authorities).join(''));
    const env = {
      ...{ IDENTITY_ENDPOINT: `${identity.url}/msi/token`, IDENTITY_HEADER: secret },
      NODE_EXTRA_CA_CERTS: authorities,
    };
    return new AzureIdentity(env, parts.move());
  }

  private constructor(env: Readonly<Record<string, string>>, parts: AsyncDisposableStack) {
    this.env = env;
    this.#parts = parts;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

function tokenFor({ path, headers }: WireRequest, secret: string, services: readonly AzureService[]): WireAnswer {
  const resource = new URL(path, 'http://identity').searchParams.get('resource');
  const service = services.find((each) => each.resource === resource);
  if (headers['x-identity-header'] !== secret || service === undefined)
    return { status: 400, body: JSON.stringify({ statusCode: 400, message: 'no token for that' }) };
  const token = randomUUID();
  service.tokens.add(token);
  const expires_on = String(Math.floor(Date.now() / 1000) + LIFETIME_S);
  return { status: 200, body: JSON.stringify({ access_token: token, expires_on, resource, token_type: 'Bearer' }) };
}
