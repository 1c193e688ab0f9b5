import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyVaultPeer, VAULT_RESOURCE } from './key-vault.ts';
import { WireServer, type WireAnswer, type WireRequest } from './wire-server.ts';

const LIFETIME_S = 3600;

/**
 * A vault for processes that have nothing but the default chain: in their environment are the endpoint of a managed identity, as App Service and
 * Container Apps have it (https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference), and the authority of
 * the vault's certificate.
 */
export class KeyVaultSite implements AsyncDisposable {
  readonly vaultUrl: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #parts: AsyncDisposableStack;

  static async start(): Promise<KeyVaultSite> {
    await using parts = new AsyncDisposableStack();
    const vault = parts.use(await KeyVaultPeer.start());
    const secret = randomUUID();
    const identity = parts.use(await WireServer.start((request) => tokenFor(request, secret, vault.tokens)));
    const folder = mkdtempSync(join(tmpdir(), 'tribo-vault-'));
    parts.defer(() => rmSync(folder, { recursive: true }));
    const authority = join(folder, 'authority.pem');
    writeFileSync(authority, vault.peer.ca);
    const env = {
      ...{ IDENTITY_ENDPOINT: `${identity.url}/msi/token`, IDENTITY_HEADER: secret },
      NODE_EXTRA_CA_CERTS: authority,
    };
    return new KeyVaultSite(vault.peer.url, env, parts.move());
  }

  private constructor(vaultUrl: string, env: Readonly<Record<string, string>>, parts: AsyncDisposableStack) {
    this.vaultUrl = vaultUrl;
    this.env = env;
    this.#parts = parts;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

function tokenFor({ path, headers }: WireRequest, secret: string, tokens: Set<string>): WireAnswer {
  const query = new URL(path, 'http://identity').searchParams;
  if (headers['x-identity-header'] !== secret || query.get('resource') !== VAULT_RESOURCE)
    return { status: 400, body: JSON.stringify({ statusCode: 400, message: 'no token for that' }) };
  const token = randomUUID();
  tokens.add(token);
  const expires_on = String(Math.floor(Date.now() / 1000) + LIFETIME_S);
  const body = { access_token: token, expires_on, resource: VAULT_RESOURCE, token_type: 'Bearer' };
  return { status: 200, body: JSON.stringify(body) };
}
