import { isName } from '#core/domain/ids.ts';
import type { ApiClient } from './api-client.ts';

/** Describes the machines of a site, all or none; what somebody else changes between the reading of its ETag and the change is not overwritten. */
export async function putPlant(
  client: ApiClient,
  plant: unknown,
): Promise<{ readonly site: string; readonly machines: readonly { machine: string; revision: number }[] }> {
  const site = typeof plant === 'object' && plant !== null && 'site' in plant ? plant.site : undefined;
  // Of what is no site's name the platform says so when it is put.
  const condition =
    typeof site === 'string' && isName(site) ? { 'if-match': await client.etag(`/v1/plant?site=${site}`) } : undefined;
  return client.request('PUT', '/v1/plant', plant, condition);
}
