import { isIP } from 'node:net';
import { hostname as nameOfMachine } from 'node:os';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { unbracketed } from '../config/addresses.ts';
import { ownCertificate } from '../tls/certificates.ts';

/** By which a server is known besides addresses, loopback's names and the machine's. */
export interface NamesOfServer {
  /** Hosts, in any case. */
  readonly names?: readonly string[];
  /** PEM text of the certificate chain that it presents now; absent without TLS. */
  readonly certificate?: () => string | undefined;
}

/**
 * Which hosts a request may name. A page of somebody else can have its visitor's browser ask this server under that page's own name, which it lets
 * lead here (DNS rebinding), and read what needs no credentials; never under an address, or a name that is not its own.
 */
export class KnownHosts {
  readonly #names: ReadonlySet<string>;
  readonly #certificate: () => string | undefined;
  /** What was presented at the last look, read. */
  #read: { readonly text: string; readonly certificate: PeerCertificate } | undefined;

  constructor({ names = [], certificate = () => undefined }: NamesOfServer = {}) {
    this.#names = new Set(['localhost', nameOfMachine(), ...names].map((name) => withoutDot(name.toLowerCase())));
    this.#certificate = certificate;
  }

  /** Whether the value of a request's header `Host` names this server. Without one it is of no browser. */
  has(header: string | undefined): boolean {
    if (header === undefined) return true;
    const host = hostOf(header);
    if (host === undefined) return false;
    if (isIP(host) !== 0 || this.#names.has(host) || host.endsWith('.localhost')) return true;
    const certificate = this.#presented();
    return certificate !== undefined && checkServerIdentity(host, certificate) === undefined;
  }

  #presented(): PeerCertificate | undefined {
    const text = this.#certificate();
    if (text === undefined) return undefined;
    if (this.#read?.text !== text) this.#read = { text, certificate: ownCertificate(text).toLegacyObject() };
    return this.#read.certificate;
  }
}

/** Without its port, in small letters; undefined for what is no host. */
function hostOf(header: string): string | undefined {
  const url = /^[^\s/?#@\\]+$/.test(header) ? URL.parse(`http://${header}`) : null;
  return url === null ? undefined : withoutDot(unbracketed(url.hostname));
}

/** `plant.example.` is `plant.example`. */
function withoutDot(host: string): string {
  return host.replace(/\.$/, '');
}
