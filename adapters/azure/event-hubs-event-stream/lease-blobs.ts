import type { BlobItem, ContainerClient, ContainerListBlobFlatSegmentResponse } from '@azure/storage-blob';
import { cloudCall } from '../../cloud-call.ts';
import { codeOfAzureError, type AzureCodes } from '../azure-errors.ts';
import { openContainerOf, type BlobPlace } from '../blob-place.ts';

/** A blob without content: what it says is in its metadata, whose names are of small letters. */
export interface MetadataBlob {
  readonly name: string;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The blob as it was read, or none of the name. */
export type BlobCondition = { readonly ifMatch: string } | { readonly ifNoneMatch: '*' };

/** Where a page begins, and how many blobs it has at most. */
export interface PageQuery {
  readonly prefix: string;
  readonly limit: number;
  /** The `next` of the page before; without it, the first. */
  readonly after?: string | undefined;
}

export interface BlobPage {
  readonly blobs: readonly MetadataBlob[];
  /** Absent from the last page; one before it may be empty. */
  readonly next?: string;
}

export interface LeaseBlobs {
  list(prefix: string, signal?: AbortSignal): Promise<readonly MetadataBlob[]>;
  /** For as many as a site may have: each page is a call of its own. */
  listPage(query: PageQuery, signal?: AbortSignal): Promise<BlobPage>;
  /** The ETag that it has then; undefined where the condition does not hold. */
  put(
    name: string,
    metadata: Readonly<Record<string, string>>,
    condition: BlobCondition,
    signal?: AbortSignal,
  ): Promise<string | undefined>;
  /** One that is absent is no error. */
  delete(name: string, signal?: AbortSignal): Promise<void>;
}

const CODES: AzureCodes = {
  // The container is made with the site.
  ContainerNotFound: 'failed_precondition',
  ContainerBeingDeleted: 'failed_precondition',
};
const CHANGED: ReadonlySet<unknown> = new Set(['ConditionNotMet', 'BlobAlreadyExists', 'BlobNotFound']);

/** Where the blobs are. */
interface LeaseBlobsPlace extends BlobPlace {
  readonly checkpointContainer: string;
  readonly checkpointPrefix: string;
  readonly timeoutMs: number;
}

export async function openLeaseBlobs(config: LeaseBlobsPlace): Promise<LeaseBlobs> {
  const { checkpointContainer, checkpointPrefix, timeoutMs } = config;
  const container = await openContainerOf(config, checkpointContainer);
  const call = <Result>(
    doing: string,
    signal: AbortSignal | undefined,
    make: (container: ContainerClient, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> => {
    const what = `${doing} in container ${checkpointContainer}`;
    return cloudCall(
      { what, timeoutMs, signal },
      (error) => codeOfAzureError(error, CODES),
      (stopped) => make(container, stopped),
    );
  };
  const blobOf = ({ name, properties, metadata = {} }: BlobItem): MetadataBlob => {
    return { name: name.slice(checkpointPrefix.length), etag: properties.etag, metadata };
  };
  return {
    list: (prefix, signal) =>
      call(`list ${prefix}`, signal, async (blobs, abortSignal) => {
        const found: MetadataBlob[] = [];
        const options = { prefix: `${checkpointPrefix}${prefix}`, includeMetadata: true, abortSignal };
        for await (const item of blobs.listBlobsFlat(options)) found.push(blobOf(item));
        return found;
      }),
    listPage: ({ prefix, limit, after }, signal) =>
      call(`list ${prefix}`, signal, async (blobs, abortSignal) => {
        const options = { prefix: `${checkpointPrefix}${prefix}`, includeMetadata: true, abortSignal };
        const page = { maxPageSize: limit, ...(after !== undefined && { continuationToken: after }) };
        const pages = blobs.listBlobsFlat(options).byPage(page);
        const first = (await pages.next()).value as ContainerListBlobFlatSegmentResponse;
        const { segment, continuationToken: next } = first;
        return { blobs: segment.blobItems.map(blobOf), ...(next && { next }) };
      }),
    put: (name, metadata, conditions, signal) =>
      call(`write ${name}`, signal, async (blobs, abortSignal) => {
        try {
          const blob = blobs.getBlockBlobClient(`${checkpointPrefix}${name}`);
          const { etag } = await blob.upload('', 0, { metadata: { ...metadata }, conditions, abortSignal });
          return etag!;
        } catch (error) {
          if (CHANGED.has((error as { readonly code?: unknown }).code)) return undefined;
          throw error;
        }
      }),
    delete: (name, signal) =>
      call(`delete ${name}`, signal, async (blobs, abortSignal) => {
        await blobs.getBlobClient(`${checkpointPrefix}${name}`).deleteIfExists({ abortSignal });
      }),
  };
}
