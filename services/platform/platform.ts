import type { Elsewhere } from '#services/shared/composition.ts';
import type { PlatformAddresses } from '#services/shared/config/addresses.ts';

/** The platform as it runs, in whatever processes. */
export interface Platform {
  readonly addresses: PlatformAddresses;
  readonly mqttPort: number;
  /** Authority that clients are to trust, by its absolute path; undefined where they know it. */
  readonly caFile: string | undefined;
  readonly elsewhere: Elsewhere;
  /** A one-time link for the first administrator; each call makes a new one. */
  signInLink(): Promise<string>;
  /** A bearer token for commands on this machine. */
  commandToken(lifetimeMs: number): Promise<string>;
  /** Has its servers present the certificate that is in the files now, to those who connect from then on. */
  renewCertificates(): void;
  /** Drains and stops everything in the order in which data flows. Idempotent. */
  close(): Promise<void>;
}

/** What the way in which it was started decides. */
export type StartedPlatform = Pick<Platform, 'addresses' | 'mqttPort' | 'signInLink' | 'renewCertificates'>;
