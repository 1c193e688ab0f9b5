import type { Site } from './site.ts';
import { isLinkedTo, PUBLIC_SERVICE, SERVICE_LINKS } from './service-ports.ts';

/** Where the API and the page are within the network. */
export const API_PORT = 8080;
/** Health and metrics of a service, on loopback. */
export const OPERATION_PORT = 8081;
/** Where services answer each other, by TCP or in WebSockets. */
export const LINK_PORT = 9443;
/** The variable with the key by which services know each other: a secret of the site, generated once, the same for all of them. */
export const LINK_KEY = 'TRIBO_LINK_KEY';
/** The one place of a container that is written to; what has to last is elsewhere. */
export const DATA_FOLDER = '/var/lib/tribo';
export const PORTS_FILE = `${DATA_FOLDER}/ports.json`;

/** In the ports file, in place of what tells the copies of a service apart: publishers of the same name would count as one. */
export const COPY_NAME = 'name.of.the.copy';

const HOURS_A_DAY = 24;

/**
 * What the environment says of a service's settings, as variables (.env.example); none is a secret.
 * @param nameOf of another service the name within the network that stands for all its copies
 * @param over what links are made of: `websocket` where a cloud passes on nothing but HTTP, which it ends TLS of at that name
 */
export function serviceSettings(
  { environment }: Site,
  service: string,
  nameOf: (service: string) => string,
  over: 'tcp' | 'websocket' = 'tcp',
): Readonly<Record<string, string>> {
  const placeOf = (called: string): string =>
    over === 'tcp' ? `${nameOf(called)}:${LINK_PORT}` : `wss://${nameOf(called)}`;
  const links = SERVICE_LINKS[service]!.map((called) => `${called}=${placeOf(called)}`);
  const { retention, switches, domain, tenants, site } = environment;
  const streamDays = String(retention.streamHours / HOURS_A_DAY);
  return {
    TRIBO_DATA_DIR: DATA_FOLDER,
    TRIBO_PORTS_FILE: PORTS_FILE,
    TRIBO_OPERATION_PORT: String(OPERATION_PORT),
    TRIBO_DEMO: 'false',
    TRIBO_LOG_LEVEL: 'info',
    TRIBO_TENANT: tenants[0]!,
    TRIBO_SITE: site,
    TRIBO_PUBLIC_URL: `https://${domain}`,
    TRIBO_STREAM_RETENTION_DAYS: streamDays,
    TRIBO_ACCEPT_AGE_DAYS: streamDays,
    TRIBO_RAW_DAYS: String(retention.readingsDays),
    TRIBO_ROLLUP_1M_DAYS: String(retention.rollupsDays),
    TRIBO_WAVEFORM_DAYS: String(retention.waveformsDays),
    TRIBO_RAW_ARCHIVE: switches.rawArchive ? 'on' : 'off',
    TRIBO_RAW_ARCHIVE_DAYS: String(retention.rawArchiveDays),
    ...(isLinkedTo(service) && {
      TRIBO_LINK_PORT: String(LINK_PORT),
      ...(over === 'websocket' && { TRIBO_LINK_OVER: over }),
    }),
    ...(links.length > 0 && { TRIBO_LINK_ADDRESSES: links.join(',') }),
    ...(service === PUBLIC_SERVICE && {
      TRIBO_HOST: '0.0.0.0',
      TRIBO_HTTP_PORT: String(API_PORT),
      // The balancer ends TLS; nobody but it reaches this port.
      TRIBO_INSECURE: 'true',
    }),
  };
}

/**
 * Starts a service in its container: writes the ports file from `TRIBO_PORTS`, with the copy's own name as a command of the shell says it, and
 * becomes the service.
 */
export function startCommand(service: string, copyName = 'hostname -s'): readonly string[] {
  const script = `printf '%s' "$TRIBO_PORTS" | sed "s/${COPY_NAME}/$(${copyName})/" > ${PORTS_FILE} && unset TRIBO_PORTS && exec node services/${service}/main.ts`;
  return ['sh', '-c', script];
}
