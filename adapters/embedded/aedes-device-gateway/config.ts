import { z } from 'zod';
import { isLoopback } from '#adapters/loopback.ts';

export const aedesDeviceGatewayConfigSchema = z
  .object({
    host: z.string().min(1).default('127.0.0.1'),
    /** 0 takes any free one. */
    port: z.int().min(0).max(65_535).default(1883),
    /** PEM; with both, connections are TLS. */
    tls: z.object({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
    /** Allows plain TCP off loopback: only behind something that ends TLS. */
    insecure: z.boolean().default(false),
    /** The SQLite file of queued commands. */
    commandDatabasePath: z.string().min(1),
    maxConnections: z.int().min(1).default(20_000),
    /** Connections of one device at a time: under its id, and under `<id>:<suffix>`. */
    maxConnectionsPerDevice: z.int().min(1).default(8),
    /** Of a PUBLISH; its topic and header come on top. */
    maxPayloadBytes: z
      .int()
      .min(1024)
      .max(16 * 2 ** 20)
      .default(128 * 1024),
    /** From the connection to CONNECT, and for the TLS handshake. */
    connectTimeoutMs: z.int().min(100).default(10_000),
    /** One connection's messages on their way to durability; above them nothing more is read from it. */
    maxInFlightMessages: z.int().min(1).default(2000),
    maxInFlightBytes: z
      .int()
      .min(1024)
      .default(2 ** 20),
    /** Of all connections: above it one with messages that intake refused is not read until one of them is taken. */
    maxHeldBytes: z
      .int()
      .min(1024)
      .default(32 * 2 ** 20),
    /** A message that intake refused is offered again after this, or when intake is ready. */
    offerAgainMs: z.int().min(1).default(250),
    maxQueuedCommandsPerMachine: z.int().min(1).default(1000),
    /** How long close() waits for messages on their way. */
    drainMs: z.int().min(0).default(5000),
  })
  .refine(({ host, tls, insecure }) => tls !== undefined || insecure || isLoopback(host), {
    error:
      'off loopback devices connect by TLS: give a certificate and key, or say insecure behind something that ends TLS',
    path: ['tls'],
  });

/** PEM texts of a certificate chain and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Has the listener told of each certificate that takes the place of the one before. */
export type OnTlsRenewal = (listener: (renewed: Certificate) => void) => void;

export type AedesDeviceGatewayConfig = z.infer<typeof aedesDeviceGatewayConfigSchema>;
