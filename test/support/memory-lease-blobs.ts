import type {
  BlobCondition,
  BlobPage,
  LeaseBlobs,
  MetadataBlob,
  PageQuery,
} from '#adapters/azure/event-hubs-event-stream/lease-blobs.ts';
import { PortError } from '#core/errors.ts';

/** Blobs in memory, which may be away, or not answer. */
export class MemoryLeaseBlobs implements LeaseBlobs {
  readonly kept = new Map<string, MetadataBlob>();
  /** Each call fails. */
  isAway = false;
  /** No call of these ends, whatever its signal says. */
  silent: readonly ('list' | 'listPage' | 'put' | 'delete')[] = [];
  /** No more than so many are on a page. */
  pageLimit = Infinity;
  /** Their deletion fails. */
  readonly stuck = new Set<string>();
  readonly listed: string[] = [];
  readonly pagesAsked: PageQuery[] = [];
  #puts = 0;

  async list(prefix: string, signal?: AbortSignal): Promise<readonly MetadataBlob[]> {
    this.listed.push(prefix);
    await this.#answer('list', signal);
    return this.#under(prefix);
  }

  async listPage(query: PageQuery, signal?: AbortSignal): Promise<BlobPage> {
    this.pagesAsked.push(query);
    await this.#answer('listPage', signal);
    const { prefix, after = '' } = query;
    const rest = this.#under(prefix).filter(({ name }) => name > after);
    const blobs = rest.slice(0, Math.min(query.limit, this.pageLimit));
    return { blobs, ...(blobs.length < rest.length && { next: blobs.at(-1)!.name }) };
  }

  async put(
    name: string,
    metadata: Readonly<Record<string, string>>,
    condition: BlobCondition,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    await this.#answer('put', signal);
    const before = this.kept.get(name)?.etag;
    if (before !== ('ifMatch' in condition ? condition.ifMatch : undefined)) return undefined;
    const etag = String(++this.#puts);
    this.kept.set(name, { name, metadata, etag });
    return etag;
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.#answer('delete', signal);
    if (this.stuck.has(name)) throw new PortError('unavailable', `${name} is held`);
    this.kept.delete(name);
  }

  #under(prefix: string): readonly MetadataBlob[] {
    const found = [...this.kept.values()].filter(({ name }) => name.startsWith(prefix));
    return found.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async #answer(call: MemoryLeaseBlobs['silent'][number], signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw new PortError('cancelled', 'the caller left');
    if (this.isAway) throw new PortError('unavailable', 'the account is away');
    if (this.silent.includes(call)) await Promise.withResolvers<never>().promise;
  }
}
