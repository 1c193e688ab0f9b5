import type { ApiClient } from './api-client.ts';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor?: string;
}

/** A whole list, page by page; at most `limit` of it. The path may hold a query. */
export async function allItems<Item>(client: ApiClient, path: string, limit = Infinity): Promise<readonly Item[]> {
  const found: Item[] = [];
  for (let cursor: string | undefined; ;) {
    const query = new URLSearchParams({
      limit: String(Math.min(LARGEST_PAGE, limit - found.length)),
      ...(cursor !== undefined && { cursor }),
    });
    const separator = path.includes('?') ? '&' : '?';
    const page = await client.request<Page<Item>>('GET', `${path}${separator}${query.toString()}`);
    found.push(...page.items);
    if (page.nextCursor === undefined || found.length >= limit) return found;
    cursor = page.nextCursor;
  }
}

/** At most `limit` of a list; says so on standard error where there are more. */
export async function firstItems<Item>(client: ApiClient, path: string, limit: number): Promise<readonly Item[]> {
  const found = await allItems<Item>(client, path, limit + 1);
  if (found.length <= limit) return found;
  process.stderr.write(`There are more than these ${limit}: --limit <count> shows them.\n`);
  return found.slice(0, limit);
}

/** That every list gives. */
const LARGEST_PAGE = 500;
