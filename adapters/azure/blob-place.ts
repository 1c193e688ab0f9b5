import type { ContainerClient } from '@azure/storage-blob';
import { z } from 'zod';
import { judgedOnceRead } from '../judged-once-read.ts';
import { loadSdk } from '../sdk.ts';

/** Where blobs are. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const blobPlaceShape = {
  /** Of the storage account, such as `https://akronplant.blob.core.windows.net`. */
  accountUrl: z.url({ protocol: /^https$/ }).optional(),
  /** Instead of it, for the development emulator alone: its connection string, which must name an endpoint on this machine. */
  emulatorConnectionString: z
    .string()
    .regex(/(^|;)BlobEndpoint=http:\/\/(127\.0\.0\.1|localhost)[:/]/, {
      error: 'must name a BlobEndpoint on this machine: a key of an Azure account is no setting',
    })
    .optional(),
};

export const containerName = z.string().regex(/^[a-z0-9](-?[a-z0-9]){2,62}$/);

export interface BlobPlace {
  readonly accountUrl?: string | undefined;
  readonly emulatorConnectionString?: string | undefined;
}

/** What reading, listing, writing and deleting blobs takes. https://learn.microsoft.com/azure/storage/blobs/assign-azure-role-data-access */
export const BLOB_ACTIONS: readonly string[] = ['read', 'write', 'delete'].map(
  (action) => `Microsoft.Storage/storageAccounts/blobServices/containers/blobs/${action}`,
);
/** The smallest role that has them. */
export const BLOB_ROLE = 'Storage Blob Data Contributor';

export const BLOB_PLACE_ERROR = {
  error: 'give accountUrl (or, for the development emulator, emulatorConnectionString), and not both',
  path: ['accountUrl'],
  ...judgedOnceRead(blobPlaceShape),
};

export function isOneBlobPlace({ accountUrl, emulatorConnectionString }: BlobPlace): boolean {
  return (accountUrl === undefined) !== (emulatorConnectionString === undefined);
}

/** The SDK is loaded here and nowhere else, so that a site without Azure never loads it. */
export async function openContainerOf(
  { accountUrl, emulatorConnectionString }: BlobPlace,
  container: string,
): Promise<ContainerClient> {
  const [{ ContainerClient: Client }, { DefaultAzureCredential }] = await loadSdk('Azure', () =>
    Promise.all([import('@azure/storage-blob'), import('@azure/identity')]),
  );
  // Retries are core/delivery's.
  const options = { retryOptions: { maxTries: 1 } };
  if (emulatorConnectionString !== undefined) return new Client(emulatorConnectionString, container, options);
  return new Client(`${accountUrl!.replace(/\/$/, '')}/${container}`, new DefaultAzureCredential(), options);
}
