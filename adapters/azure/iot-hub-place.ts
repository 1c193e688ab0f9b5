import type { TokenCredential } from '@azure/identity';
import type Sdk from 'azure-iothub';
import { z } from 'zod';
import { loadSdk } from '../sdk.ts';

const port = z.int().min(1).max(65_535);

/** Which hub. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const iotHubPlaceShape = {
  /** Of the hub, such as `akron.azure-devices.net`. */
  host: z
    .string()
    .regex(/^[A-Za-z0-9-]{3,50}\.azure-devices\.(net|us|cn)$/, { error: 'must be <hub>.azure-devices.net' }),
  /** Instead of the host's own, for a test peer alone: ports of 127.0.0.1 that speak its REST API and its AMQP, by TLS. */
  peerPorts: z.strictObject({ https: port, amqps: port }).optional(),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
};

export interface IotHubPlace {
  readonly host: string;
  readonly peerPorts?: { readonly https: number; readonly amqps: number } | undefined;
  readonly timeoutMs: number;
}

/** The SDK is loaded here and nowhere else, so that a site without IoT Hub never loads it. `test`: a credential instead of the default chain's. */
export async function loadIotHub(
  test?: TokenCredential,
): Promise<{ readonly sdk: typeof Sdk; readonly credential: TokenCredential }> {
  const [{ default: sdk }, { DefaultAzureCredential }] = await loadSdk('Azure', () =>
    Promise.all([import('azure-iothub'), import('@azure/identity')]),
  );
  return { sdk, credential: test ?? new DefaultAzureCredential() };
}
