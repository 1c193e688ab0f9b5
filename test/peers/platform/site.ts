import type { DeviceLogin } from '#test/support/platform-process.ts';
import { toBroker, type DeviceConnection, type Pace } from '#test/support/resending-device.ts';

/** How devices are connected to a site whose gateway is not the platform's own broker. */
export interface SiteGateway {
  connect(login: DeviceLogin): Promise<DeviceConnection>;
  /** Where a device publishes a sensor's waveforms that publishes readings at that topic; absent: where the platform's own broker has them. */
  waveformTopic?(telemetryTopic: string, sensor: string): string;
  /** For a simulator that is this device: what its credentials file has of it besides its id and machines, and its flags. Files of it go into the folder. */
  simulator(login: DeviceLogin, folder: string): { readonly credentials: object; readonly flags: readonly string[] };
}

/** The consumer group of who watches a site's streams from outside its platform. */
export const OBSERVER = 'observer';
/** The streams of what devices send, which it reads. */
export const OBSERVED = ['metrics', 'raw-waveform'] as const;

/** What differs from site to site. */
interface SiteSettings {
  /** Content of the ports file; absent where there is none. */
  readonly ports?: object;
  /** What the platform's processes have in their environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: the platform's own broker. */
  readonly gateway?: SiteGateway;
  /** How fast a machine's readings come, where a peer is far slower than its service. */
  readonly pace?: Pace;
}

/** What a platform runs on: the peers of its provider's services, and what chooses their adapters. */
export type Site = SiteSettings & AsyncDisposable;

type Started<Starting extends readonly Promise<AsyncDisposable>[]> = {
  readonly [At in keyof Starting]: Awaited<Starting[At]>;
};

/** A site on peers that are being started; where one fails, or what `prepare` makes on them does, none is left. */
export async function siteOn<const Starting extends readonly Promise<AsyncDisposable>[]>(
  starting: Starting,
  prepare: (peers: Started<Starting>) => Promise<SiteSettings>,
): Promise<Site> {
  await using started = new AsyncDisposableStack();
  for (const each of await Promise.allSettled(starting)) if (each.status === 'fulfilled') started.use(each.value);
  const settings = await prepare(await Promise.all(starting));
  const peers = started.move();
  return { ...settings, [Symbol.asyncDispose]: () => peers.disposeAsync() };
}

/** The platform of a laptop. */
export async function embeddedSite(): Promise<Site> {
  return { [Symbol.asyncDispose]: async () => undefined };
}

/** The platform's own broker, by passwords. */
export function ownBroker(port: number): SiteGateway {
  return {
    connect: (login) => toBroker(port, login)(),
    simulator: ({ secret }) => ({ credentials: { secret }, flags: ['--mqtt-port', String(port)] }),
  };
}
