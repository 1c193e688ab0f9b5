import { Agent } from 'node:https';
import type { TokenCredential } from '@azure/identity';
import type { Registry } from 'azure-iothub';
import { loadIotHub, type IotHubPlace } from '../iot-hub-place.ts';

export type Tags = Readonly<Record<string, unknown>>;

/** A device's document in the hub, whose tags it does not see itself. */
export interface HubTwin {
  readonly deviceId: string;
  readonly etag: string;
  readonly isEnabled: boolean;
  readonly tags: Tags;
}

/** Whether a device may sign in, and by what. */
export interface HubIdentity {
  readonly isEnabled: boolean;
  readonly authentication: Authentication;
}

/** By a key, or by a certificate, of which there is more than this. */
export interface Authentication {
  readonly type?: string;
  /** Without keys also where whoever asks may not see them. */
  readonly symmetricKey?: { readonly primaryKey: string | null; readonly secondaryKey: string | null };
}

/** Both of the keys that the hub has of a device are the one, so that a new one leaves none of before. */
export function byKey(key: string): Authentication {
  return { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } };
}

/** The calls of IoT Hub's identity registry and twins: each one attempt, throwing what the SDK throws. None takes a signal. */
export interface IotHubRegistryCalls {
  /** An identity with its twin, both or none. */
  create(id: string, identity: HubIdentity, tags: Tags): Promise<void>;
  identity(id: string): Promise<(HubIdentity & { readonly etag: string }) | undefined>;
  /** Where the identity is as its etag says. */
  changeIdentity(id: string, etag: string, identity: HubIdentity): Promise<void>;
  /** One that is absent is no error. */
  delete(id: string): Promise<void>;
  twin(id: string): Promise<HubTwin | undefined>;
  /** Where the twin is as its etag says. */
  changeTags(id: string, etag: string, tags: Tags): Promise<void>;
  /** Twins as the hub's index knows them, which is some time late. */
  query(where: string): Promise<readonly HubTwin[]>;
}

export async function openIotHubRegistry(
  { host, peerPorts }: IotHubPlace,
  test?: TokenCredential,
): Promise<IotHubRegistryCalls> {
  const { sdk, credential } = await loadIotHub(test);
  const registry = sdk.Registry.fromTokenCredential(host, credential);
  if (peerPorts) {
    // It connects there, whatever host it is asked for.
    const agent = new Agent({ keepAlive: true, host: '127.0.0.1', port: peerPorts.https, servername: '' });
    (registry as unknown as RegistryInternals)._restApiClient.setOptions({ http: { agent } });
  }
  return {
    create: async (id, identity, tags) => {
      await bulk(registry.addDevices([{ ...descriptionOf(id, identity), tags }]));
    },
    identity: (id) => unlessAbsent(registry.get(id).then(({ responseBody }) => readIdentity(responseBody))),
    changeIdentity: async (id, eTag, identity) => {
      await bulk(registry.updateDevices([{ ...descriptionOf(id, identity), eTag }], false));
    },
    delete: async (id) => {
      await unlessAbsent(registry.delete(id));
    },
    twin: (id) => unlessAbsent(registry.getTwin(id).then(({ responseBody }) => readTwin(responseBody))),
    changeTags: async (id, etag, tags) => {
      await registry.updateTwin(id, { tags }, etag);
    },
    query: async (where) => {
      const query = registry.createQuery(`SELECT * FROM devices WHERE ${where}`, QUERY_PAGE);
      const found: HubTwin[] = [];
      while (query.hasMoreResults) found.push(...(await query.nextAsTwin()).result.map(readTwin));
      return found;
    },
  };
}

/** What of the SDK's client is not in its types, in 1.16.6. */
interface RegistryInternals {
  readonly _restApiClient: { setOptions(options: object): void };
}

/** As many as the service gives at a time. */
const QUERY_PAGE = 100;

function descriptionOf(deviceId: string, { isEnabled, authentication }: HubIdentity) {
  return { deviceId, status: isEnabled ? 'enabled' : 'disabled', authentication };
}

type SdkDevice = Awaited<ReturnType<Registry['get']>>['responseBody'];

function readIdentity({ etag, status, authentication = {} }: SdkDevice): HubIdentity & { readonly etag: string } {
  return { etag: etag!, isEnabled: status === 'enabled', authentication };
}

function readTwin(twin: { readonly deviceId: string; readonly etag: string; readonly tags?: unknown }): HubTwin {
  const { deviceId, etag, tags = {}, status } = twin as typeof twin & { readonly status?: string };
  return { deviceId, etag, isEnabled: status === 'enabled', tags: tags as Tags };
}

/** @throws the error of the one device that the operation was about, with the hub's code. */
async function bulk(
  operation: Promise<{ readonly responseBody: Registry.BulkRegistryOperationResult }>,
): Promise<void> {
  const result = await operation.then(
    ({ responseBody }) => responseBody,
    (error: unknown) => {
      const body = (error as { readonly responseBody?: string }).responseBody ?? '';
      if (!body.includes('"isSuccessful"')) throw error;
      return JSON.parse(body) as Registry.BulkRegistryOperationResult;
    },
  );
  const [failed] = result.errors;
  if (result.isSuccessful || failed === undefined) return;
  const code = String(failed.errorCode);
  throw Object.assign(new Error(`${code}: ${failed.errorStatus}`), { code });
}

async function unlessAbsent<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Error && error.name === 'DeviceNotFoundError') return undefined;
    throw error;
  }
}
