import { WireServer, type WireAnswer, type WireRequest } from './wire-server.ts';

const SECRET = 'of-this-machine';

/**
 * The managed identity of an App Service, https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference, which the
 * SDK's default chain asks for tokens from now on, in this process and in those that it starts. What it gives for the resource is added to the tokens.
 */
export async function startManagedIdentity(resource: string, tokens: Set<string>): Promise<WireServer> {
  const identity = await WireServer.start((request) => tokenFor(request, resource, tokens));
  Object.assign(process.env, {
    IDENTITY_ENDPOINT: `${identity.url}/msi/token`,
    IDENTITY_HEADER: SECRET,
    // Of the default chain, the link of machines of Azure.
    AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
  });
  return identity;
}

function tokenFor({ path, headers }: WireRequest, resource: string, tokens: Set<string>): WireAnswer {
  const { searchParams } = new URL(path, 'http://identity');
  if (headers['x-identity-header'] !== SECRET || searchParams.get('resource') !== resource)
    return { status: 400, body: '{"error":"invalid_request"}' };
  const token = `token-${tokens.size}-${Math.random().toString(36).slice(2)}`;
  tokens.add(token);
  const expires_on = String(Math.floor(Date.now() / 1000) + 86_400);
  return {
    status: 200,
    body: JSON.stringify({ access_token: token, expires_on, resource, token_type: 'Bearer' }),
  };
}
