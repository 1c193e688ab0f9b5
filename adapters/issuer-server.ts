import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JSONWebKeySet } from 'jose';
import type { TokenIssuer } from '#core/ports/token-issuer.ts';

/** An issuer whose public keys this process knows. */
export interface PublishedIssuer {
  readonly issuer: string;
  /** Whom its tokens are for. */
  readonly audience: string;
  publicKeys(): JSONWebKeySet;
  /** Whether it takes back the token of that id, as far as this process knows. */
  isRevoked(tokenId: string): boolean;
  /** Why it does not know what other processes of the issuer revoked or sign with; undefined while it does. */
  problem(): string | undefined;
  /** Has it told when such a problem begins. */
  onProblem(listener: ProblemListener): void;
}

/** Takes what failed, in words, and why. */
export type ProblemListener = (what: string, error: unknown) => void;

export function isPublished(issuer: TokenIssuer): issuer is TokenIssuer & PublishedIssuer {
  return 'issuer' in issuer && 'publicKeys' in issuer;
}

export interface IssuerServer extends AsyncDisposable {
  /** Where verifiers fetch the keys. */
  readonly jwksUri: string;
  close(): Promise<void>;
}

/**
 * Publishes the issuer's keys on loopback, so that the embedded platform verifies tokens the way it does a cloud's: over HTTP, with the
 * same cache and the same rotation.
 */
export async function serveIssuer(issuer: PublishedIssuer): Promise<IssuerServer> {
  const server = createServer((request, response) => {
    const document = request.method === 'GET' ? issuerDocument(issuer, request.url ?? '', origin(server)) : undefined;
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json', 'cache-control': 'max-age=60' });
    response.end(JSON.stringify(document ?? {}));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  server.unref();
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { jwksUri: `${origin(server)}/.well-known/jwks.json`, close, [Symbol.asyncDispose]: close };
}

/** What an OIDC issuer publishes under its address; undefined for any other path. */
export function issuerDocument(issuer: PublishedIssuer, path: string, baseUrl: string): object | undefined {
  if (path === '/.well-known/jwks.json') return issuer.publicKeys();
  if (path !== '/.well-known/openid-configuration') return undefined;
  return {
    issuer: issuer.issuer,
    jwks_uri: `${baseUrl}/.well-known/jwks.json`,
    id_token_signing_alg_values_supported: ['ES256'],
    subject_types_supported: ['public'],
    response_types_supported: ['none'],
    claims_supported: ['iss', 'aud', 'sub', 'exp', 'iat', 'jti', 'tenant', 'roles'],
  };
}

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
