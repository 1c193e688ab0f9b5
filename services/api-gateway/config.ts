import { z } from 'zod';
import { MAX_ARTIFACT_BYTES } from '#core/ports/model-registry.ts';
import { DEFAULT_RATE_LIMITS } from './http/rate-limits.ts';

/**
 * Longer than proxies keep idle connections, so that it is not we who close one just as a request comes: Google's load balancers keep them for 600 s,
 * and none keeps them for longer. https://docs.cloud.google.com/load-balancing/docs/https#timeouts_and_retries
 */
export const KEEP_ALIVE_MS = 620_000;

const allowance = (standard: number) => z.int().min(1).default(standard);

export const apiGatewayConfigSchema = z.object({
  host: z.string().min(1).default('127.0.0.1'),
  /** 0 takes any free one. */
  port: z.int().min(0).max(65_535).default(8080),
  /** PEM texts of the certificate chain and its key. */
  tls: z.object({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  /** Listens off loopback without TLS: only behind something that ends TLS. */
  insecure: z.boolean().default(false),
  /** The origin that people reach the gateway by, for links; by default what it listens on. */
  publicUrl: z.url().optional(),
  /** Names that requests may ask for besides those of the public URL, the certificate, the machine and loopback. */
  hostNames: z.array(z.string().min(1)).default([]),
  /** Where devices reach the broker, for the document that describes it. */
  mqttUrl: z.url({ protocol: /^mqtts?$/ }).default('mqtt://127.0.0.1:1883'),
  /** The host of links where there is no such address, because one that is listened on is none to connect to. */
  linkHost: z.string().min(1).optional(),
  /** Whom the first sign-in link is for. */
  tenant: z.string().min(1).default('demo'),
  /** The built page; absent serves none. */
  staticFolder: z.string().optional(),
  sessionLifetimeMs: z
    .int()
    .min(60_000)
    .default(7 * 86_400_000),
  /** A machine that sent nothing for longer is stale, and its health unknown. */
  staleAfterMs: z.int().min(1000).default(300_000),
  /** How long the audit trail is kept. */
  auditMs: z
    .int()
    .min(1000)
    .default(400 * 86_400_000),
  maxTelemetryBytes: z.int().default(4 * 2 ** 20),
  maxWaveformBytes: z.int().default(16 * 2 ** 20),
  /** Of a model's artifact. */
  maxModelBytes: z
    .int()
    .min(1)
    .max(MAX_ARTIFACT_BYTES)
    .default(16 * 2 ** 20),
  /** Of all request bodies that are in memory at once; one tenant may hold half of it. */
  maxBodyBytesHeld: z
    .int()
    .min(1)
    .default(128 * 2 ** 20),
  /** One above is closed at once: each may hold headers and a socket's buffers. */
  maxConnections: z.int().min(1).default(4096),
  /** From the beginning of a request to the end of its headers, and to its end. */
  headersWithinMs: z.int().min(100).default(10_000),
  requestWithinMs: z.int().min(100).default(60_000),
  maxJsonBytes: z.int().default(2 ** 20),
  rateLimits: z
    .object({
      apiPerCaller: allowance(DEFAULT_RATE_LIMITS.apiPerCaller),
      apiPerTenant: allowance(DEFAULT_RATE_LIMITS.apiPerTenant),
      telemetryPerCaller: allowance(DEFAULT_RATE_LIMITS.telemetryPerCaller),
      telemetryPerTenant: allowance(DEFAULT_RATE_LIMITS.telemetryPerTenant),
      failuresPerAddress: allowance(DEFAULT_RATE_LIMITS.failuresPerAddress),
    })
    .prefault({}),
  events: z
    .object({
      sampleEveryMs: z.int().min(50).default(1000),
      heartbeatMs: z.int().min(100).default(15_000),
      ledgerEveryMs: z.int().min(100).default(2000),
      maxClientsPerTenant: z.int().min(1).default(100),
      /** What may wait for a client; one that is slower is disconnected. */
      maxQueuedBytes: z
        .int()
        .min(1024)
        .default(2 ** 20),
      maxMachinesPerEvent: z.int().min(1).default(500),
    })
    .prefault({}),
  /** Checks every JSON answer against its schema: for tests. */
  checkResponses: z.boolean().default(false),
});

export type ApiGatewayConfig = z.infer<typeof apiGatewayConfigSchema>;
export type ApiGatewaySettings = z.input<typeof apiGatewayConfigSchema>;
