import { Agent } from 'node:https';
import { z } from 'zod';

const CONNECTIONS = 50;
const CONNECT_MS = 5_000;

/** Settings of every adapter to a service of AWS. Credentials come from the SDK's default chain alone. */
export const awsPlaceShape = {
  region: z.string().min(1),
  /** Of a service that speaks AWS's protocol. Absent: AWS's own. */
  endpoint: z.url().optional(),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
};

export interface AwsPlace {
  readonly region: string;
  readonly endpoint?: string | undefined;
}

/** What a client of the SDK is made with: one attempt a call, as retries are core/delivery's. */
export function clientSettings({ region, endpoint }: AwsPlace) {
  return {
    region,
    ...(endpoint !== undefined && { endpoint }),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      httpsAgent: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }),
    },
  };
}
