import { join } from 'node:path';

/*
 * The files of one stream:
 *   sources/<source>/<first position>.log   segments, see segment.ts
 *   sources/<source>/writer.lock            held by the one who publishes under the name
 *   heads/<source>                          what of the source is durable, see source-head.ts
 *   groups/<group>.json, <group>.lock       a consumer group's checkpoint, and the lock of its active subscription
 */
export class StreamPaths {
  readonly directory: string;
  readonly heads: string;
  readonly groups: string;
  readonly sources: string;

  constructor(directory: string) {
    this.directory = directory;
    this.heads = join(directory, 'heads');
    this.groups = join(directory, 'groups');
    this.sources = join(directory, 'sources');
  }

  source(source: string): string {
    return join(this.sources, source);
  }

  writerLock(source: string): string {
    return join(this.sources, source, 'writer.lock');
  }

  head(source: string): string {
    return join(this.heads, source);
  }

  group(group: string): string {
    return join(this.groups, `${group}.json`);
  }

  groupLock(group: string): string {
    return join(this.groups, `${group}.lock`);
  }
}
