/** The platform as it runs, in whatever processes. */
export interface Platform {
  readonly url: string;
  readonly mqttPort: number;
  /** A one-time link for the first administrator; each call makes a new one. */
  signInLink(): Promise<string>;
  /** A bearer token for commands on this machine. */
  commandToken(lifetimeMs: number): Promise<string>;
  /** Drains and stops everything in the order in which data flows. Idempotent. */
  close(): Promise<void>;
}
