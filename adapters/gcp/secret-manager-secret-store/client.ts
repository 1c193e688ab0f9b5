import type { v1 } from '@google-cloud/secret-manager';
import { loadSdk } from '../../sdk.ts';
import { waitFor } from '../../wait-for.ts';
import type { SecretManagerSecretStoreConfig } from './config.ts';

/** The calls of Secret Manager that the store makes: each one attempt, with whole ids, throwing what the SDK throws. */
export interface SecretManagerCalls {
  /** Of the latest version. */
  access(id: string, signal: AbortSignal): Promise<string | undefined>;
  create(id: string, signal: AbortSignal): Promise<void>;
  add(id: string, value: string, signal: AbortSignal): Promise<void>;
  /** The resource names of enabled versions, newest first, at most a page of them. */
  versions(id: string, signal: AbortSignal): Promise<readonly string[]>;
  destroy(version: string, signal: AbortSignal): Promise<void>;
  delete(id: string, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

type ClientOptions = NonNullable<ConstructorParameters<typeof v1.SecretManagerServiceClient>[0]>;

const PAGE = 100;

/** The SDK is loaded here and nowhere else, so that a site without Secret Manager never loads it. `test` names a server of a test. */
export async function openSecretManager(
  { projectId, locations, timeoutMs }: SecretManagerSecretStoreConfig,
  test: Pick<ClientOptions, 'apiEndpoint' | 'port' | 'sslCreds'> = {},
): Promise<SecretManagerCalls> {
  const { v1 } = await loadSdk('Google Cloud', () => import('@google-cloud/secret-manager'));
  const client = new v1.SecretManagerServiceClient({ projectId, ...test });
  // Retries are core/delivery's.
  const once = { timeout: timeoutMs, retry: { retryCodes: [] } };
  const parent = `projects/${projectId}`;
  const nameOf = (id: string) => `${parent}/secrets/${id}`;
  const replication = locations
    ? { userManaged: { replicas: locations.map((location) => ({ location })) } }
    : { automatic: {} };
  return {
    access: async (id, signal) => {
      const request = { name: `${nameOf(id)}/versions/latest` };
      const [{ payload }] = await waitFor(client.accessSecretVersion(request, once), signal);
      return payload?.data ? Buffer.from(payload.data).toString() : undefined;
    },
    create: async (secretId, signal) => {
      await waitFor(client.createSecret({ parent, secretId, secret: { replication } }, once), signal);
    },
    add: async (id, value, signal) => {
      const request = { parent: nameOf(id), payload: { data: Buffer.from(value) } };
      await waitFor(client.addSecretVersion(request, once), signal);
    },
    versions: async (id, signal) => {
      const request = { parent: nameOf(id), filter: 'state:ENABLED', pageSize: PAGE };
      const [found] = await waitFor(client.listSecretVersions(request, { ...once, autoPaginate: false }), signal);
      return found.flatMap(({ name }) => (name ? [name] : []));
    },
    destroy: async (name, signal) => {
      await waitFor(client.destroySecretVersion({ name }, once), signal);
    },
    delete: async (id, signal) => {
      await waitFor(client.deleteSecret({ name: nameOf(id) }, once), signal);
    },
    close: () => client.close(),
  };
}
