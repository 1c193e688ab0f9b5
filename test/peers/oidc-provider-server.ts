/**
 * A certified OpenID provider (npm `oidc-provider`) of one API, its clients, and a page where people sign in by the provider's own forms, with
 * any password: `node oidc-provider-server.ts <folder> <port>`. It takes its signing keys and the page's redirect URIs anew by `PUT /peer`,
 * which is how a test has it rotate keys; everything else is the provider's own.
 */
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What is used of the package, which is in the peers' folder and not among the project's own. */
interface ProviderPackage {
  readonly default: new (issuer: string, configuration: object) => { callback(): RequestListener };
}

const [folder = '', port = ''] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const path = join(folder, 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = (await import(pathToFileURL(path).href)) as ProviderPackage;
const AUDIENCE = 'api://tribo';

/** What a test may set. */
interface Settings {
  readonly jwks?: object;
  readonly redirectUris?: readonly string[];
  readonly signedOutUris?: readonly string[];
}

/** Of each person; whoever else signs in has none. */
const ROLES: Readonly<Record<string, readonly string[]>> = { maria: ['operator'], asha: ['admin'] };

let settings: Settings = {};
let answer = providerWith(settings);
createServer((request, response) => {
  if (request.method !== 'PUT' || request.url !== '/peer') {
    answer(request, response);
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    settings = { ...settings, ...(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Settings) };
    answer = providerWith(settings);
    response.end();
  });
}).listen(Number(port), '127.0.0.1');

function providerWith({ jwks, redirectUris = [], signedOutUris = [] }: Settings): RequestListener {
  const machine = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
  return new Provider(issuer, {
    ...(jwks && { jwks }),
    cookies: { keys: ['of-a-test'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [
      ...['historian', 'stranger'].map((name) => ({
        ...{ client_id: name, client_secret: `secret-of-${name}`, scope: 'tribo/viewer tribo/ingest other' },
        ...machine,
      })),
      {
        ...{ client_id: 'page', client_secret: 'secret-of-page' },
        ...{ redirect_uris: redirectUris, post_logout_redirect_uris: signedOutUris },
      },
    ],
    scopes: ['openid', 'tribo/viewer', 'tribo/ingest', 'other'],
    claims: { openid: ['sub', 'tenant', 'roles'] },
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, tenant: 'demo', roles: ROLES[id] ?? [] }),
    }),
    extraTokenClaims: () => ({ tenant: 'demo' }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          ...{ audience: resource, scope: 'tribo/viewer tribo/ingest other', accessTokenTTL: 600 },
          ...{ accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } },
        }),
      },
    },
  }).callback();
}
