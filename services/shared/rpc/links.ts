import { readFileSync } from 'node:fs';
import { PortError } from '#core/errors.ts';
import type { Configuration } from '../config/settings.ts';
import { linkAddressesIn, type LinkAddress } from './link-address.ts';
import { LinkServer, type LinkTransport } from './link-server.ts';
import { linkKeyOf } from './link-tls.ts';
import { connectPort, portBy, type Connected } from './port-client.ts';
import { servePort, type PortServer } from './port-server.ts';
import { ServiceLink } from './service-link.ts';
import { socketPath } from './socket-path.ts';

/** A port that another service offers. */
export interface PortOfService {
  readonly service: string;
  readonly port: string;
  /** In messages: `the alert engine`. */
  readonly name: string;
}

export interface LinkOptions {
  /** How long a call waits for a service that is away before it fails with `unavailable`. Default 2000. */
  readonly waitMs?: number;
  /** For what one copy alone can do, and may be asked again: where one says `unavailable`, the next is asked. */
  readonly isAskedOfAll?: boolean;
}

/** One of several copies of a service. */
export interface CopyOf<Port> {
  /** Another one after each start of the copy, where services run apart. */
  readonly id: string;
  readonly port: Port;
}

/** How a process reaches the other services of its site, and is reached: in the data folder that they share, or over the network. */
export interface Links {
  /** Whether it has no data folder in common with the others. */
  readonly isApart: boolean;
  /** Offers an object's methods to the other services. */
  serve(port: string, implementation: object): Promise<PortServer>;
  /** A port of another service as if it were here: of any of its copies, one after the other. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the port
  connect<Port extends object>(to: PortOfService, options?: LinkOptions): Port & Connected;
  /** The copies of a service that are connected now, each by itself; the one that there is, connected or not, in a common folder. */
  copies<Port extends object>(to: PortOfService): () => readonly CopyOf<Port>[];
  /** Why a service is not reached; undefined while it is, and where only a call can tell. */
  problem(service: string): string | undefined;
  /** Resolves once the service is reached, where services run apart. @throws PortError unavailable after that time */
  reach(service: string, withinMs: number): Promise<void>;
  close(): Promise<void>;
}

type LinkConfiguration = Pick<Configuration, 'dataDir'> &
  Partial<Pick<Configuration, 'linkPort' | 'linkOver' | 'linkAddresses' | 'linkKey' | 'linkKeyFile'>>;
type Warn = (about: object, what: string) => void;

/** By sockets in the data folder, or by `TRIBO_LINK_PORT` and `TRIBO_LINK_ADDRESSES`. */
export function openLinks(configuration: LinkConfiguration, warn: Warn): Links {
  return isApart(configuration) ? new NetworkLinks(configuration, warn) : new FolderLinks(configuration.dataDir);
}

/** Whether services have no data folder in common. */
export function isApart({ linkPort, linkAddresses }: Pick<LinkConfiguration, 'linkPort' | 'linkAddresses'>): boolean {
  return linkPort !== undefined || linkAddresses !== undefined;
}

class FolderLinks implements Links {
  readonly isApart = false;
  readonly #dataDir: string;
  readonly #connected: Connected[] = [];

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  serve(port: string, implementation: object): Promise<PortServer> {
    return servePort(socketPath(this.#dataDir, port), port, implementation);
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the port
  connect<Port extends object>({ port, name }: PortOfService, { waitMs }: LinkOptions = {}): Port & Connected {
    const options = waitMs === undefined ? {} : { waitMs };
    const connected = connectPort<Port>(socketPath(this.#dataDir, port), name, options);
    this.#connected.push(connected);
    return connected;
  }

  copies<Port extends object>(to: PortOfService): () => readonly CopyOf<Port>[] {
    const only = [{ id: to.service, port: this.connect<Port>(to) }];
    return () => only;
  }

  problem(): undefined {
    return undefined;
  }

  async reach(): Promise<void> {
    // A call waits for its server, which is started before or beside this one.
  }

  async close(): Promise<void> {
    for (const port of this.#connected) port.disconnect();
  }
}

const WAIT_MS = 2000;

class NetworkLinks implements Links {
  readonly isApart = true;
  readonly #key: Buffer;
  readonly #port: number | undefined;
  readonly #over: LinkTransport;
  readonly #addresses: ReadonlyMap<string, readonly LinkAddress[]>;
  readonly #links = new Map<string, ServiceLink>();
  readonly #warn: Warn;
  #server: Promise<LinkServer> | undefined;

  constructor(configuration: LinkConfiguration, warn: Warn) {
    this.#key = linkKeyOf(keyText(configuration));
    this.#port = configuration.linkPort;
    this.#over = configuration.linkOver ?? 'tcp';
    this.#addresses = linkAddressesIn(configuration.linkAddresses ?? '');
    this.#warn = warn;
  }

  async serve(port: string, implementation: object): Promise<PortServer> {
    // A service that nobody connects to has no port.
    if (this.#port === undefined) return { close: async () => undefined };
    this.#server ??= LinkServer.open({ port: this.#port, over: this.#over, key: this.#key, warn: this.#warn });
    return (await this.#server).offer(port, implementation);
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the port
  connect<Port extends object>({ service, port, name }: PortOfService, options: LinkOptions = {}): Port & Connected {
    const rules = { waitMs: WAIT_MS, ...options };
    return portBy<Port & Connected>({
      call: async (method, given) => this.#link(service).call({ port, method, given, name }, rules),
      // The connection is that of all ports of the service, and ends with the links.
      disconnect: () => undefined,
    });
  }

  copies<Port extends object>({ service, port, name }: PortOfService): () => readonly CopyOf<Port>[] {
    return () =>
      this.#link(service).copies.map((copy) => ({
        id: copy.id,
        port: portBy<Port>({
          call: (method, given) => copy.call({ port, method, given, name }),
          disconnect: () => undefined,
        }),
      }));
  }

  problem(service: string): string | undefined {
    return this.#link(service).problem();
  }

  async reach(service: string, withinMs: number): Promise<void> {
    await this.#link(service).reach(withinMs);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    await (await this.#server?.catch(() => undefined))?.close();
  }

  #link(service: string): ServiceLink {
    const known = this.#links.get(service);
    if (known) return known;
    const addresses = this.#addresses.get(service) ?? [];
    if (addresses.length === 0)
      throw new PortError(
        'failed_precondition',
        `TRIBO_LINK_ADDRESSES does not say where ${service} is: add ${service}=host:port or ${service}=wss://host`,
      );
    const warn = (what: string): void => this.#warn({ to: service }, what);
    const link = new ServiceLink({ service, addresses, key: this.#key, warn });
    this.#links.set(service, link);
    return link;
  }
}

function keyText({ linkKey, linkKeyFile }: LinkConfiguration): string {
  if (linkKeyFile === undefined) return linkKey ?? '';
  let text;
  try {
    text = readFileSync(linkKeyFile, 'utf8').trim();
  } catch (error) {
    throw new PortError('failed_precondition', `TRIBO_LINK_KEY_FILE: ${linkKeyFile} cannot be read`, { cause: error });
  }
  if (text.length >= 32) return text;
  throw new PortError('failed_precondition', `TRIBO_LINK_KEY_FILE: ${linkKeyFile} must hold at least 32 characters`);
}
