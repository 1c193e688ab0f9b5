import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#core/errors.ts';
import type { Elsewhere } from '#services/shared/composition.ts';
import type { Addresses } from '#services/shared/config/addresses.ts';
import type { Problem } from '#services/shared/http/problem-types.ts';
import { certificateRemedy, trustAuthority } from '#services/shared/tls/authority.ts';
import { CommandError } from './output.ts';

/** Where a running platform can be reached from this machine: the platform writes it into its data folder, readable by its owner alone. */
export interface PlatformAddress {
  readonly url: string;
  readonly token: string;
  readonly mqttUrl: string;
  /** By which people and devices reach it. */
  readonly everywhere: Addresses;
  /** Authority that clients are to trust; undefined where they know it. */
  readonly caFile: string | undefined;
  readonly elsewhere: Elsewhere;
}

export const ADDRESS_FILE = 'platform.json';

/** The adapters of what is not kept in the data folder, to people: `eventStream (kafka-event-stream)`. */
export function elsewhereText(elsewhere: Elsewhere): string {
  return Object.entries(elsewhere)
    .map(([port, adapter]) => `${port} (${adapter})`)
    .join(', ');
}

/** Where the platform says whether it can do its work. */
export const READINESS = '/health/ready';

/** The address of a platform; of one that does not run on the data folder the broker is not known. */
type KnownAddress = Pick<PlatformAddress, 'url' | 'token'> & Partial<PlatformAddress>;

export interface ApiClient extends KnownAddress {
  request<Result>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
    withinMs?: number,
  ): Promise<Result>;
  /** The ETag of what is at a path now, for a change that depends on it. */
  etag(path: string): Promise<string>;
}

interface ClientOptions {
  readonly url?: string;
  readonly token?: string;
  readonly dataDir: string;
  /** Of the platform's; default: what the one on the data folder says. */
  readonly caFile?: string | undefined;
}

/**
 * A client of the API: `--url` and `--token` (or TRIBO_URL and TRIBO_TOKEN), else of the platform that runs on this data folder. From then on
 * this process trusts the platform's authority.
 */
export function apiClient(options: ClientOptions): ApiClient {
  const address = resolveAddress(options);
  if (address.caFile !== undefined) trust(address.caFile);
  const exchange = async (
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
    withinMs = 60_000,
  ) => {
    const response = await fetch(new URL(path, address.url), {
      method,
      headers: {
        authorization: `Bearer ${address.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(withinMs),
    }).catch((error: unknown) => {
      throw new CommandError(
        'unreachable',
        `no answer from ${address.url}: ${String((error as Error).cause ?? error)}`,
        certificateRemedy(error) ?? 'is it running? Start it with: npm start',
      );
    });
    const text = await response.text();
    // The platform that is not ready says so with 503 and what it would say otherwise: that is an answer.
    if (!response.ok && !(response.status === 503 && path === READINESS)) throw problemError(response.status, text);
    return { text, etag: response.headers.get('etag') ?? '' };
  };
  return {
    ...address,
    request: async (...given) => {
      const { text } = await exchange(...given);
      return (text === '' ? undefined : JSON.parse(text)) as never;
    },
    etag: async (path) => (await exchange('GET', path)).etag,
  };
}

function trust(caFile: string): void {
  try {
    trustAuthority(caFile);
  } catch (error) {
    throw new CommandError(
      'configuration',
      `the authority to trust cannot be read: ${messageOf(error)}`,
      'set TRIBO_TLS_CA_FILE to its certificate, here and where the platform runs',
    );
  }
}

function resolveAddress(options: ClientOptions): KnownAddress {
  const url = options.url ?? process.env['TRIBO_URL'];
  const token = options.token ?? process.env['TRIBO_TOKEN'];
  const { caFile } = options;
  if (url !== undefined && token !== undefined) return { url, token, caFile };
  const path = join(options.dataDir, ADDRESS_FILE);
  if (!existsSync(path)) {
    throw new CommandError(
      'unreachable',
      `no platform is running on the data folder ${options.dataDir}`,
      'start it with: npm start   (or name another with --url and --token)',
    );
  }
  const local = JSON.parse(readFileSync(path, 'utf8')) as PlatformAddress;
  return { ...(url === undefined ? local : { url }), token: token ?? local.token, caFile: caFile ?? local.caFile };
}

function problemError(status: number, text: string): CommandError {
  const kind = KIND_OF_STATUS[status] ?? 'failed';
  try {
    const { type, title, detail, remedy, pointer, errors } = JSON.parse(text) as Problem;
    const where = pointer ? ` (${pointer.replace(/^(path|query|header):/, '')})` : '';
    const message = kind === 'not-found' && where === '' ? detail : `${title}${where}: ${detail}`;
    return new CommandError(kind, message, remedy && asCommands(remedy), {
      type,
      errors: errors ?? (pointer === undefined ? [] : [{ pointer, detail }]),
    });
  } catch {
    return new CommandError(kind, `the platform answered ${status}`, undefined);
  }
}

/** A remedy that names a list of the API names the command that prints it. */
function asCommands(remedy: string): string {
  return remedy.replace(/GET (\/v1\/[a-z-]+)(?![\w/-])/g, (call, path: string) => LISTED_BY[path] ?? call);
}

const LISTED_BY: Readonly<Record<string, string>> = {
  '/v1/alarms': 'tribo alarm list',
  '/v1/dead-letters': 'tribo ledger dead-letters',
  '/v1/devices': 'tribo device list',
  '/v1/machines': 'tribo plant list',
  '/v1/models': 'tribo model list',
  '/v1/quarantine': 'tribo device quarantine',
  '/v1/rules': 'tribo rule list',
};

/** What a refused request is to a command; what is not here failed. */
const KIND_OF_STATUS: Readonly<Record<number, CommandError['kind']>> = {
  400: 'data',
  401: 'refused',
  403: 'refused',
  404: 'not-found',
  408: 'unreachable',
  409: 'conflict',
  412: 'conflict',
  413: 'data',
  415: 'data',
  421: 'configuration',
  422: 'data',
  429: 'unreachable',
  431: 'data',
  503: 'unreachable',
};
