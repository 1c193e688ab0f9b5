import { randomBytes, randomUUID } from 'node:crypto';
import type { PeerAnswer, PeerRequest } from './tls-peer.ts';

export const API_VERSION = '2021-04-12';

/** An identity of the hub, with its twin. */
export interface HubDevice {
  readonly deviceId: string;
  readonly generationId: string;
  version: number;
  status: 'enabled' | 'disabled';
  authentication: Authentication;
  connectionState: 'Connected' | 'Disconnected';
  twinVersion: number;
  tags: Json;
}

interface Authentication {
  readonly type: string;
  readonly symmetricKey: { readonly primaryKey: string | null; readonly secondaryKey: string | null };
}

type Json = Readonly<Record<string, unknown>>;

/** What the registry says of the device, keys and all. */
export interface RegistryListener {
  /** Its identity was changed, or it is gone. */
  changed(device: HubDevice, isGone: boolean): void;
}

/**
 * The identity registry and the twins of an IoT Hub, as https://learn.microsoft.com/rest/api/iothub/service/devices, /bulk-registry, /devices/get-twin,
 * /devices/update-twin and /query say. Of the query language it plays `SELECT * FROM devices WHERE tags.tribo.tenant = '...'` alone.
 */
export class IotHubRegistry {
  readonly devices = new Map<string, HubDevice>();
  /** Tokens that it takes. */
  readonly tokens = new Set<string>();
  /** What role whoever asks has lets it see no keys. */
  hidesKeys = false;
  /** Twins as the index has them; undefined: as they are. */
  #index: readonly HubDevice[] | undefined;
  readonly #listener: RegistryListener;

  constructor(listener: RegistryListener) {
    this.#listener = listener;
  }

  /** From now on queries find twins as they are now. */
  freezeIndex(): void {
    this.#index = [...this.devices.values()].map((device) => ({ ...device }));
  }

  answer(request: PeerRequest): PeerAnswer {
    const { method, url, headers, body } = request;
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
    if (token === undefined || !this.tokens.has(token)) return failure(401, 'IotHubUnauthorizedAccess', 'Unauthorized');
    if (url.searchParams.get('api-version') !== API_VERSION)
      return failure(400, 'InvalidProtocolVersion', 'the api-version is not known');
    const [kind = '', id = ''] = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const json = body === '' ? undefined : (JSON.parse(body) as unknown);
    const match = headers['if-match'];
    switch (`${method} ${kind}${id === '' ? '' : '/{id}'}`) {
      case 'POST devices':
        return this.#bulk(json as readonly BulkOperation[]);
      case 'POST devices/{id}':
        return id === 'query'
          ? this.#query(json as Json, headers['x-ms-continuation'], headers['x-ms-max-item-count'])
          : notAllowed();
      case 'GET devices/{id}':
        return this.#with(id, (device) => ({ status: 200, body: this.#identity(device) }));
      case 'DELETE devices/{id}':
        return this.#with(id, (device) => {
          if (!holds(match, etagOf(device))) return failure(412, 'PreconditionFailed', 'the ETag does not match');
          this.devices.delete(id);
          this.#listener.changed(device, true);
          return { status: 204 };
        });
      case 'GET twins/{id}':
        return this.#with(id, (device) => ({ status: 200, body: twin(device) }));
      case 'PATCH twins/{id}':
        return this.#with(id, (device) => {
          if (!holds(match, twinEtagOf(device))) return failure(412, 'PreconditionFailed', 'the ETag does not match');
          const tags = merged(device.tags, (json as { readonly tags?: Json }).tags ?? {});
          if (JSON.stringify(tags).length > MAX_TAG_BYTES)
            return failure(400, 'ArgumentInvalid', 'the tags are larger than 8 KB');
          Object.assign(device, { tags, twinVersion: device.twinVersion + 1 });
          return { status: 200, body: twin(device) };
        });
      default:
        return notAllowed();
    }
  }

  #with(id: string, answer: (device: HubDevice) => PeerAnswer): PeerAnswer {
    const device = this.devices.get(id);
    return device ? answer(device) : failure(404, 'DeviceNotFound', `Device ${id} not registered`);
  }

  #bulk(operations: readonly BulkOperation[]): PeerAnswer {
    const errors = operations.flatMap((operation) => {
      const errorCode = this.#apply(operation);
      return errorCode === undefined ? [] : [{ deviceId: operation.id, errorCode, errorStatus: errorCode }];
    });
    const result = { isSuccessful: errors.length === 0, errors, warnings: [] };
    return { status: errors.length === 0 ? 200 : 400, body: result };
  }

  /** Its errorCode, where it failed. */
  #apply({ id, importMode, eTag, status = 'enabled', authentication, tags }: BulkOperation): string | undefined {
    const device = this.devices.get(id);
    if (!/^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/.test(id)) return 'ArgumentInvalid';
    switch (importMode.toLowerCase()) {
      case 'create': {
        if (device) return 'DeviceAlreadyExists';
        const added: HubDevice = {
          ...{ deviceId: id, generationId: String(Date.now()), version: 1, twinVersion: 1, status, tags: tags ?? {} },
          ...{ authentication: withKeys(authentication), connectionState: 'Disconnected' },
        };
        this.devices.set(id, added);
        return undefined;
      }
      case 'updateifmatchetag':
        if (!device) return 'DeviceNotFound';
        if (eTag !== etagOf(device)) return 'PreconditionFailed';
        Object.assign(device, { status, authentication: withKeys(authentication), version: device.version + 1 });
        this.#listener.changed(device, false);
        return undefined;
      default:
        return 'GenericBadRequest';
    }
  }

  #query({ query }: Json, continuation: unknown, maxItemCount: unknown): PeerAnswer {
    const [, tenant] = /^SELECT \* FROM devices WHERE tags\.tribo\.tenant = '([^']*)'$/.exec(String(query)) ?? [];
    if (tenant === undefined) return failure(400, 'GenericBadRequest', `the peer does not play ${String(query)}`);
    const found = (this.#index ?? [...this.devices.values()]).filter(
      ({ tags }) => (tags['tribo'] as Json | undefined)?.['tenant'] === tenant,
    );
    const from = Number(continuation ?? 0);
    const to = from + Math.min(Number(maxItemCount ?? QUERY_PAGE), QUERY_PAGE);
    const headers: Record<string, string> = { 'x-ms-item-type': 'Twin' };
    if (to < found.length) headers['x-ms-continuation'] = String(to);
    return { status: 200, headers, body: found.slice(from, to).map(twin) };
  }

  #identity(device: HubDevice) {
    const { deviceId, generationId, status, connectionState, authentication } = device;
    const hidden = { ...authentication, symmetricKey: { primaryKey: null, secondaryKey: null } };
    return {
      ...{ deviceId, generationId, etag: etagOf(device), connectionState, status, statusReason: null },
      ...{ connectionStateUpdatedTime: NEVER, statusUpdatedTime: NEVER, lastActivityTime: NEVER },
      cloudToDeviceMessageCount: 0,
      authentication: { ...(this.hidesKeys ? hidden : authentication), x509Thumbprint: NO_THUMBPRINT },
      capabilities: { iotEdge: false },
    };
  }
}

interface BulkOperation {
  readonly id: string;
  readonly importMode: string;
  readonly eTag?: string;
  readonly status?: HubDevice['status'];
  readonly authentication?: Partial<Authentication>;
  readonly tags?: Json;
}

const MAX_TAG_BYTES = 8192;
const QUERY_PAGE = 100;
const NEVER = '0001-01-01T00:00:00Z';
const NO_THUMBPRINT = { primaryThumbprint: null, secondaryThumbprint: null };

function twin(device: HubDevice) {
  const { deviceId, status, connectionState, authentication, tags, twinVersion } = device;
  const empty = { $metadata: { $lastUpdated: NEVER }, $version: 1 };
  return {
    ...{ deviceId, etag: twinEtagOf(device), deviceEtag: etagOf(device), status, statusUpdateTime: NEVER },
    ...{ connectionState, lastActivityTime: NEVER, cloudToDeviceMessageCount: 0 },
    ...{ authenticationType: authentication.type, x509Thumbprint: NO_THUMBPRINT, modelId: '', version: twinVersion },
    ...{ tags, properties: { desired: empty, reported: empty }, capabilities: { iotEdge: false } },
  };
}

/** The hub makes the keys that are not given. */
function withKeys({ type = 'sas', symmetricKey }: Partial<Authentication> = {}): Authentication {
  if (type !== 'sas') return { type, symmetricKey: { primaryKey: null, secondaryKey: null } };
  const made = () => randomBytes(32).toString('base64');
  const { primaryKey, secondaryKey } = symmetricKey ?? {};
  return { type, symmetricKey: { primaryKey: primaryKey || made(), secondaryKey: secondaryKey || made() } };
}

function etagOf({ version }: HubDevice): string {
  return Buffer.from(String(version)).toString('base64');
}

function twinEtagOf({ twinVersion }: HubDevice): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(twinVersion));
  return bytes.toString('base64');
}

function holds(match: string | undefined, etag: string): boolean {
  return match === undefined || match === '"*"' || match === '*' || match === `"${etag}"`;
}

/** As a merge patch: null takes away, an array is one value. */
function merged(into: Json, patch: Json): Json {
  const result = new Map(Object.entries(into));
  for (const [key, value] of Object.entries(patch)) {
    const before = result.get(key);
    if (value === null) result.delete(key);
    else result.set(key, isObject(value) && isObject(before) ? merged(before, value) : value);
  }
  return Object.fromEntries(result);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notAllowed(): PeerAnswer {
  return failure(405, 'GenericMethodNotAllowed', 'not of the registry');
}

/** As https://learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes says. */
export function failure(status: number, code: string, message: string): PeerAnswer {
  const ExceptionMessage = `Tracking ID:${randomUUID().replaceAll('-', '')}-G:0-TimeStamp:11/22/2026 00:00:00`;
  return { status, body: { Message: `ErrorCode:${code};${message}`, ExceptionMessage } };
}
