import { randomUUID } from 'node:crypto';
import { TlsPeer, type PeerAnswer, type PeerRequest } from './tls-peer.ts';

/** What tokens have to be for. */
export const VAULT_RESOURCE = 'https://vault.azure.net';
export const TENANT = '16b3c013-d300-468d-ac64-7eda0820b6d3';
const MAX_BYTES = 25_600;
const DAY_S = 86_400;

interface Secret {
  /** As it was first written: names of the vault are the same in small and capital letters. */
  readonly name: string;
  readonly versions: { readonly id: string; readonly value: string; readonly created: number; enabled: boolean }[];
  state: 'active' | 'being deleted' | 'deleted' | 'being recovered';
  /** So many further requests about it find it as it is; then the vault is done. */
  left: number;
}

/**
 * A peer of Azure Key Vault's secrets, as https://learn.microsoft.com/rest/api/keyvault/secrets says: challenge, versions, soft delete with
 * its conflicts. What it deletes and recovers takes it some requests, as it takes the vault some seconds.
 */
export class KeyVaultPeer {
  readonly peer: TlsPeer;
  /** Tokens that it takes. */
  readonly tokens: Set<string>;
  readonly #vault: Vault;

  static async start({ requestsUntilDone = 1 } = {}): Promise<KeyVaultPeer> {
    const secrets = new Map<string, Secret>();
    const tokens = new Set<string>();
    const vault = { secrets, tokens, requestsUntilDone, mayRead: true };
    return new KeyVaultPeer(await TlsPeer.start((request, origin) => answer(vault, request, origin)), vault, tokens);
  }

  private constructor(peer: TlsPeer, vault: Vault, tokens: Set<string>) {
    this.peer = peer;
    this.#vault = vault;
    this.tokens = tokens;
  }

  /** From now on the role of whoever asks lets it write alone. */
  denyReading(): void {
    this.#vault.mayRead = false;
  }

  /** Of the secrets that are there, or are being brought back. */
  names(): readonly string[] {
    return [...this.#vault.secrets.values()].filter(({ state }) => !state.includes('deleted')).map(({ name }) => name);
  }

  /** As an operator does. */
  disable(name: string): void {
    this.#vault.secrets.get(name.toLowerCase())!.versions.at(-1)!.enabled = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]();
  }
}

interface Vault {
  readonly secrets: Map<string, Secret>;
  readonly tokens: ReadonlySet<string>;
  readonly requestsUntilDone: number;
  mayRead: boolean;
}

function answer(vault: Vault, request: PeerRequest, origin: string): PeerAnswer {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined || !vault.tokens.has(token)) return challenge(token);
  if (!request.url.searchParams.has('api-version')) return failure(400, 'BadParameter', 'api-version is missing');
  if (request.method === 'GET' && !vault.mayRead)
    return failure(403, 'Forbidden', 'Caller is not authorized to perform action on resource.', 'ForbiddenByRbac');
  const [kind = '', name = '', ...rest] = request.url.pathname.split('/').slice(1);
  if (!/^[0-9a-zA-Z-]{1,127}$/.test(name))
    return failure(400, 'BadParameter', `The request URI contains an invalid name: ${name}`);
  const secret = vault.secrets.get(name.toLowerCase());
  if (secret) settle(secret);
  const asked = `${request.method} ${kind}${rest.length > 0 ? `/${rest.join('/')}` : ''}`;
  switch (asked) {
    case 'PUT secrets':
      return put(vault, name, request.body, origin);
    case 'DELETE secrets':
      return remove(vault, secret, name, origin);
    case 'GET deletedsecrets':
      return secret?.state === 'deleted' ? { status: 200, body: deletedBundle(secret, origin) } : absent(name);
    case 'POST deletedsecrets/recover':
      return recover(vault, secret, name, origin);
    default:
      if (request.method === 'GET' && kind === 'secrets') return get(secret, name, rest[0] ?? '', origin);
      return failure(405, 'MethodNotAllowed', asked);
  }
}

function settle(secret: Secret): void {
  if (secret.left-- > 0) return;
  if (secret.state === 'being deleted') secret.state = 'deleted';
  if (secret.state === 'being recovered') secret.state = 'active';
}

function put({ secrets }: Vault, name: string, body: string, origin: string): PeerAnswer {
  const { value } = (body === '' ? {} : JSON.parse(body)) as { readonly value?: unknown };
  if (typeof value !== 'string') return failure(400, 'BadParameter', 'The value of the secret is missing');
  if (Buffer.byteLength(value) > MAX_BYTES) return failure(400, 'BadParameter', 'The secret is too long');
  const secret = secrets.get(name.toLowerCase()) ?? { name, versions: [], state: 'active', left: 0 };
  const said = CONFLICTS[secret.state];
  if (said) return failure(409, 'Conflict', `Secret ${name} ${said[1]}`, said[0]);
  secret.versions.push({ id: randomUUID().replaceAll('-', ''), value, created: nowS(), enabled: true });
  secrets.set(name.toLowerCase(), secret);
  return { status: 200, body: bundle(secret, origin) };
}

const CONFLICTS: Readonly<Partial<Record<Secret['state'], readonly [code: string, says: string]>>> = {
  'being deleted': ['ObjectIsBeingDeleted', 'is currently being deleted.'],
  deleted: [
    'ObjectIsDeletedButRecoverable',
    'is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.',
  ],
  'being recovered': ['ObjectIsBeingRecovered', 'is currently being recovered and cannot be re-created; retry later.'],
};

function get(secret: Secret | undefined, name: string, version: string, origin: string): PeerAnswer {
  const found = version === '' ? secret?.versions.at(-1) : secret?.versions.find(({ id }) => id === version);
  if (!secret || !found || secret.state !== 'active') return absent(name);
  if (!found.enabled)
    return failure(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
  return { status: 200, body: bundle(secret, origin, found) };
}

function remove(vault: Vault, secret: Secret | undefined, name: string, origin: string): PeerAnswer {
  if (!secret || secret.state === 'deleted') return absent(name);
  const said = CONFLICTS[secret.state];
  if (said) return failure(409, 'Conflict', `Secret ${name} ${said[1]}`, said[0]);
  Object.assign(secret, { state: 'being deleted', left: vault.requestsUntilDone });
  return { status: 200, body: deletedBundle(secret, origin) };
}

function recover(vault: Vault, secret: Secret | undefined, name: string, origin: string): PeerAnswer {
  if (!secret || secret.state === 'active') return absent(name);
  const said = secret.state === 'deleted' ? undefined : CONFLICTS[secret.state];
  if (said) return failure(409, 'Conflict', `Secret ${name} ${said[1]}`, said[0]);
  Object.assign(secret, { state: 'being recovered', left: vault.requestsUntilDone });
  const { value: _value, ...body } = bundle(secret, origin);
  return { status: 200, body };
}

function bundle({ name, versions }: Secret, origin: string, version = versions.at(-1)!) {
  const { id, value, created, enabled } = version;
  return {
    value,
    id: `${origin}/secrets/${name}/${id}`,
    attributes: { enabled, created, updated: created, recoveryLevel: 'Recoverable+Purgeable' },
  };
}

function deletedBundle(secret: Secret, origin: string) {
  const { value: _value, ...rest } = bundle(secret, origin);
  const deletedDate = nowS();
  return {
    recoveryId: `${origin}/deletedsecrets/${secret.name}`,
    ...{ deletedDate, scheduledPurgeDate: deletedDate + 90 * DAY_S },
    ...rest,
  };
}

function challenge(token: string | undefined): PeerAnswer {
  const authorization = `https://login.microsoftonline.com/${TENANT}`;
  const said =
    token === undefined ? 'AKV10000: Request is missing a Bearer or PoP token.' : 'AKV10032: Invalid issuer.';
  return {
    ...failure(401, 'Unauthorized', said),
    headers: { 'www-authenticate': `Bearer authorization="${authorization}", resource="${VAULT_RESOURCE}"` },
  };
}

function absent(name: string): PeerAnswer {
  return failure(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`);
}

/** As https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses#error-responses says. */
export function failure(status: number, code: string, message: string, inner?: string): PeerAnswer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return { status, body: { error: { code, message, ...innererror } } };
}

function nowS(): number {
  return Math.floor(Date.now() / 1000);
}
