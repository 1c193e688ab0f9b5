import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import type { Claims, JsonWebKeyOfIssuer } from '#core/contracts/identity-verifier.contract.ts';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';
import { installPackage, ServedPeer } from './served-peer.ts';

const PACKAGE = 'oidc-provider@9.13.3';

/** The peer of OpenID providers: a certified one, with signing keys that the test knows, and clients of an API. */
export class OidcProvider extends ServedPeer {
  #signingKeys: readonly JWK[] = [];

  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('oidc-provider', PACKAGE, (into) => installPackage(PACKAGE, into, ['--ignore-scripts']));
  }

  static async start(): Promise<OidcProvider> {
    const folder = await OidcProvider.folder();
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await PeerProcess.start({
      name: 'oidc-provider',
      command: [process.execPath, join(import.meta.dirname, 'oidc-provider-server.ts'), folder, String(port)],
      isReady: async () => (await fetch(`${endpoint}/.well-known/openid-configuration`)).ok,
    });
    const provider = new OidcProvider(endpoint, server);
    await provider.rotate();
    return provider;
  }

  /** It signs by a new key from now on, and publishes the one before too. */
  async rotate(): Promise<void> {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const key = { ...(await exportJWK(privateKey)), kid: `key-${Date.now()}`, alg: 'ES256', use: 'sig' };
    this.#signingKeys = [key, ...this.#signingKeys.slice(0, 1)];
    await this.#set({ jwks: { keys: this.#signingKeys } });
  }

  /** Where its client `page` may have a browser sent back to. */
  async setRedirectUris(...redirectUris: readonly string[]): Promise<void> {
    await this.#set({ redirectUris });
  }

  /** Where it may have a browser sent back to that has signed out at the provider. */
  async setSignedOutUris(...signedOutUris: readonly string[]): Promise<void> {
    await this.#set({ signedOutUris });
  }

  async #set(settings: object): Promise<void> {
    const answer = await fetch(`${this.endpoint}/peer`, { method: 'PUT', body: JSON.stringify(settings) });
    if (!answer.ok) throw new Error(`the provider does not take ${Object.keys(settings).join(', ')}: ${answer.status}`);
  }

  /** Signs what the provider would not. */
  async sign(claims: Claims): Promise<string> {
    const [key] = this.#signingKeys;
    return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key!.kid! }).sign(key!);
  }

  /** As its discovery document says where. */
  async publicKeys(): Promise<{ readonly keys: readonly JsonWebKeyOfIssuer[] }> {
    const discovery = await fetch(`${this.endpoint}/.well-known/openid-configuration`);
    const { jwks_uri: place } = (await discovery.json()) as { jwks_uri: string };
    return (await (await fetch(place)).json()) as { keys: readonly JsonWebKeyOfIssuer[] };
  }

  /** What a client that speaks for itself gets at the token endpoint. */
  async accessToken(client: 'historian' | 'stranger', form: Readonly<Record<string, string>>): Promise<string> {
    const authorization = `Basic ${Buffer.from(`${client}:secret-of-${client}`).toString('base64')}`;
    const body = new URLSearchParams({ grant_type: 'client_credentials', ...form });
    const answer = await fetch(`${this.endpoint}/token`, { method: 'POST', body, headers: { authorization } });
    const { access_token: token } = (await answer.json()) as { access_token?: string };
    if (token === undefined) throw new Error(`the provider gave no token: ${answer.status}`);
    return token;
  }
}
