import { connectPort, type Connected } from '#services/shared/rpc/port-client.ts';
import { methodsOf, servePort, type PortServer } from '#services/shared/rpc/port-server.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';

const CONTROL_PORT = 'control';

/** What became of a restore that the running platform was asked for. */
export type RestoreOutcome =
  | { readonly state: 'under-way' }
  | { readonly state: 'done'; readonly url: string; readonly aside: string | undefined }
  /** The former data is in place and the platform runs on it. */
  | { readonly state: 'failed'; readonly error: string; readonly restored: string | undefined };

/** What a running platform can be asked by whoever owns its data folder: the socket is theirs alone. */
export interface PlatformControl {
  /**
   * Drains and stops every service, puts the folder that waits beside the data folder in its place, and starts the services again in the
   * same process. Resolves when it has begun; {@link PlatformControl.restoreOutcome} tells the rest.
   */
  restore(): Promise<void>;
  /** Of the latest restore; undefined where none was asked for. The socket is away for as long as the services are. */
  restoreOutcome(): Promise<RestoreOutcome | undefined>;
}

export function serveControl(dataDir: string, control: PlatformControl): Promise<PortServer> {
  const served = methodsOf(control, ['restore', 'restoreOutcome']);
  return servePort(socketPath(dataDir, CONTROL_PORT), 'the platform', served);
}

export function connectControl(dataDir: string): PlatformControl & Connected {
  return connectPort<PlatformControl>(socketPath(dataDir, CONTROL_PORT), 'the platform', { waitMs: 10_000 });
}
