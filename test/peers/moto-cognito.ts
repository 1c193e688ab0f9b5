import { execFile } from 'node:child_process';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SignJWT } from 'jose';
import type { Claims, JsonWebKeyOfIssuer } from '#core/contracts/identity-verifier.contract.ts';
import { Moto } from './moto.ts';

const REGION = 'eu-central-1';
const KEY_ID = 'dummy';
const PASSWORD = 'Pump-station-7!';

/** A user pool of moto's Cognito, asked by its own protocol over HTTP: the project has no SDK for it, for nothing but this test would use one. */
export class CognitoPool {
  readonly region = REGION;
  readonly userPoolId: string;
  readonly clientId: string;
  readonly #endpoint: string;
  readonly #key: KeyObject;

  static async create({ endpoint }: Moto): Promise<CognitoPool> {
    const { UserPool: pool } = (await ask(endpoint, 'CreateUserPool', { PoolName: 'plant' })) as {
      UserPool: { Id: string };
    };
    const { UserPoolClient: client } = (await ask(endpoint, 'CreateUserPoolClient', {
      ...{ UserPoolId: pool.Id, ClientName: 'page', ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH'] },
    })) as { UserPoolClient: { ClientId: string } };
    return new CognitoPool(endpoint, pool.Id, client.ClientId, await signingKey());
  }

  private constructor(endpoint: string, userPoolId: string, clientId: string, key: KeyObject) {
    this.#endpoint = endpoint;
    this.userPoolId = userPoolId;
    this.clientId = clientId;
    this.#key = key;
  }

  get jwksUri(): string {
    return `${this.#endpoint}/${this.userPoolId}/.well-known/jwks.json`;
  }

  /** The tokens of a person who is new, in these groups, and signs in with a password. */
  async signInNewUser(
    name: string,
    groups: readonly string[],
  ): Promise<{ readonly access: string; readonly id: string }> {
    const user = { UserPoolId: this.userPoolId, Username: name };
    await this.#ask('AdminCreateUser', { ...user, MessageAction: 'SUPPRESS' });
    await this.#ask('AdminSetUserPassword', { ...user, Password: PASSWORD, Permanent: true });
    for (const GroupName of groups) {
      await this.#ask('CreateGroup', { UserPoolId: this.userPoolId, GroupName });
      await this.#ask('AdminAddUserToGroup', { ...user, GroupName });
    }
    const { AuthenticationResult: result } = (await this.#ask('AdminInitiateAuth', {
      ...{ UserPoolId: this.userPoolId, ClientId: this.clientId, AuthFlow: 'ADMIN_USER_PASSWORD_AUTH' },
      AuthParameters: { USERNAME: name, PASSWORD },
    })) as { AuthenticationResult: { AccessToken: string; IdToken: string } };
    return { access: result.AccessToken, id: result.IdToken };
  }

  /** Signs by moto's key what it would not. */
  sign(claims: Claims): Promise<string> {
    return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', kid: KEY_ID }).sign(this.#key);
  }

  async publicKeys(): Promise<{ readonly keys: readonly JsonWebKeyOfIssuer[] }> {
    return (await (await fetch(this.jwksUri)).json()) as { keys: readonly JsonWebKeyOfIssuer[] };
  }

  #ask(action: string, body: object): Promise<unknown> {
    return ask(this.#endpoint, action, body);
  }
}

async function ask(endpoint: string, action: string, body: object): Promise<unknown> {
  const scope = `test/20261122/${REGION}/cognito-idp/aws4_request`;
  const response = await fetch(endpoint, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `AWSCognitoIdentityProviderService.${action}`,
      // Of the signature moto reads the service and the region alone.
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
    },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`moto refuses ${action}: ${response.status} ${text}`);
  return text === '' ? {} : (JSON.parse(text) as unknown);
}

/** Prints moto's key, of which its file has no more than the numbers from which the rest is found. */
const PRINT_KEY = `
from joserfc.jwk import RSAKey
from moto.utilities.utils import load_resource
print(RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json")).as_pem(private=True).decode())`;

/** The one key that moto signs the tokens of all pools with. */
async function signingKey(): Promise<KeyObject> {
  const { stdout } = await promisify(execFile)(join(await Moto.folder(), 'venv/bin/python'), ['-c', PRINT_KEY]);
  return createPrivateKey(stdout);
}
