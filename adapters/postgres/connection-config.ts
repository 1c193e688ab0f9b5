import { z } from 'zod';
import { judgedOnceRead } from '#adapters/judged-once-read.ts';
import { isLoopback } from '#adapters/loopback.ts';

/**
 * How a database is reached: the begin of each adapter's settings. The password is never among them: it comes from the environment
 * (`PGPASSWORD`, or the file `PGPASSFILE`, which is read anew for each connection, so that a token in it may be renewed).
 */
export const postgresConnectionShape = {
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).default(5432),
  database: z.string().min(1).default('tribo'),
  user: z.string().min(1).default('tribo'),
  /** Holds the tables, and is made where it is absent. */
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be a lower-case name of at most 63 letters, digits and _')
    .default('tribo'),
  /**
   * `verify-full`: the server's certificate must be of its host and of a known authority. `off`: on this host alone, as with a proxy beside the
   * service. `off-in-private-network`: whoever writes it knows that nobody else hears that network.
   */
  tls: z.enum(['verify-full', 'off', 'off-in-private-network']).default('verify-full'),
  /** PEM file of the authorities that count, as RDS and Cloud SQL publish them. Absent: Node's own. */
  tlsCaFile: z.string().min(1).optional(),
  /** Connections of a process, which its adapters with equal settings share; one more listens for changes. */
  maxConnections: z.int().min(1).max(100).default(10),
  /** How long to wait for a connection, new or used. */
  connectTimeoutMs: z.int().min(100).max(60_000).default(5_000),
  /** How long a statement may take, the wait for another's lock included. */
  statementTimeoutMs: z.int().min(100).max(300_000).default(30_000),
} as const;

/** For the `refine` of each adapter's settings: nothing is spoken in clear to another host unless the settings say that it may be. */
export const inClearOnThisHostAlone: readonly [
  isSo: (connection: { readonly host: string; readonly tls: string }) => boolean,
  otherwise: { readonly error: string; readonly path: string[] } & ReturnType<typeof judgedOnceRead>,
] = [
  ({ host, tls }) => tls !== 'off' || isLoopback(host) || host.startsWith('/'),
  {
    error:
      'off goes to this host alone: say verify-full, or off-in-private-network where nobody else hears the network between',
    path: ['tls'],
    ...judgedOnceRead({ host: postgresConnectionShape.host, tls: postgresConnectionShape.tls }),
  },
];

const postgresConnectionSchema = z.object(postgresConnectionShape);

export type PostgresConnection = z.output<typeof postgresConnectionSchema>;

/** Of an adapter's settings those that say how its database is reached. */
export function connectionOf(settings: z.input<typeof postgresConnectionSchema>): PostgresConnection {
  return postgresConnectionSchema.parse(settings);
}
