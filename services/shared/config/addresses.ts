import { isIPv6 } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { ownCertificate, type TlsTexts } from '../tls/certificates.ts';
import type { Configuration } from './settings.ts';

/** Origins, without a path. */
export interface Addresses {
  /** Of the API and the page: `http://` or `https://`. */
  readonly url: string;
  /** Of the broker: `mqtt://` or `mqtts://`, with its port. */
  readonly mqttUrl: string;
}

export interface PlatformAddresses {
  /** For programs on this machine. */
  readonly here: Addresses;
  /** For people and devices. */
  readonly everywhere: Addresses;
}

type AddressSettings = Pick<Configuration, 'host' | 'publicUrl' | 'publicMqttUrl'>;

/** Where a platform that listens on these ports is reached. */
export function platformAddresses(
  settings: AddressSettings,
  tls: TlsTexts | undefined,
  { httpPort, mqttPort }: { readonly httpPort: number; readonly mqttPort: number },
): PlatformAddresses {
  const { publicUrl, publicMqttUrl } = settings;
  const secure = tls ? 's' : '';
  const local = localHost(settings, tls);
  const host = bracketed(local);
  const listening = { url: `http${secure}://${host}:${httpPort}`, mqttUrl: `mqtt${secure}://${host}:${mqttPort}` };
  const publicHost = publicUrl === undefined ? host : new URL(publicUrl).hostname;
  const everywhere = {
    url: publicUrl ?? listening.url,
    mqttUrl: publicMqttUrl ?? `mqtt${secure}://${publicHost}:${mqttPort}`,
  };
  // A certificate for the public name alone is of no use on loopback: then this machine goes the way that everybody goes.
  const isAccepted = tls === undefined || certificateProblem(tls.cert, local) === undefined;
  return { here: isAccepted ? listening : everywhere, everywhere };
}

/** By which name or address of those it listens on this machine reaches the platform: of several the one that the certificate is for. */
export function localHost({ host }: Pick<Configuration, 'host'>, tls: TlsTexts | undefined): string {
  const candidates = [
    ALL_INTERFACES[host] ?? host,
    ...(isLoopback(host) || host in ALL_INTERFACES ? ['localhost'] : []),
  ];
  const [first = host] = candidates;
  return tls ? (candidates.find((each) => certificateProblem(tls.cert, each) === undefined) ?? first) : first;
}

const ALL_INTERFACES: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Why a client that connects to the host would not accept the certificate, by its names; undefined where it would. */
export function certificateProblem(chain: string, host: string): string | undefined {
  return checkServerIdentity(unbracketed(host), ownCertificate(chain).toLegacyObject())?.message;
}

/** The further names that a platform is known by. */
export function hostNamesOf({ hostNames }: Partial<Pick<Configuration, 'hostNames'>>): readonly string[] {
  return hostNames?.split(',') ?? [];
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The port that an HTTP address names or means. */
export function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** The host of a URL as programs other than URL parsers take it. */
export function unbracketed(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}
