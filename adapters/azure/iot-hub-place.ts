import type { Agent } from 'node:https';
import type { TokenCredential } from '@azure/identity';
import type Sdk from 'azure-iothub';
import { z } from 'zod';
import { loadSdk } from '../sdk.ts';

/** Which hub. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const iotHubPlaceShape = {
  /** Of the hub, such as `akron.azure-devices.net`. */
  host: z
    .string()
    .regex(/^[A-Za-z0-9-]{3,50}\.azure-devices\.(net|us|cn)$/, { error: 'must be <hub>.azure-devices.net' }),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
};

export interface IotHubPlace {
  readonly host: string;
  readonly timeoutMs: number;
}

/** What a test has instead of Azure's own. */
export interface IotHubSurroundings {
  readonly credential: TokenCredential;
  /** Connects to the peer, whatever host it is asked for. */
  readonly agent: Agent;
  /** `amqps://` and where the peer listens. */
  readonly amqpUri: string;
}

/** The SDK is loaded here and nowhere else, so that a site without IoT Hub never loads it. */
export async function loadIotHub(
  test?: IotHubSurroundings,
): Promise<{ readonly sdk: typeof Sdk; readonly credential: TokenCredential }> {
  const [{ default: sdk }, { DefaultAzureCredential }] = await loadSdk('Azure', () =>
    Promise.all([import('azure-iothub'), import('@azure/identity')]),
  );
  return { sdk, credential: test?.credential ?? new DefaultAzureCredential() };
}
