import { createHash } from 'node:crypto';
import type { Environment } from '../core/decision/environment.ts';

const DIGEST_LENGTH = 6;

/**
 * What is provisioned for one environment is called. A site has no underscore and a stage is one of three words, so no two environments
 * have a name in common; what a service limits further is cut, and told apart by a digest of the whole.
 */
export class Names {
  /** `tribo-akron-dev`: at most 38 characters, and 21 more with a region. */
  readonly base: string;
  /** `tribo/akron/dev/`: nothing of another environment begins with it. */
  readonly path: string;

  /** @param region in what all is called by, where the same is to be made in another region beside it: `tribo-akron-dev-norwayeast` */
  constructor({ site, stage }: Pick<Environment, 'site' | 'stage'>, region?: string) {
    this.base = [`tribo-${site}-${stage}`, ...(region === undefined ? [] : [region])].join('-');
    this.path = `tribo/${site}/${stage}/`;
  }

  /** `tribo-akron-dev-metrics`; where that is longer than a service takes, its begin and a digest. */
  of(part: string, maxLength = 255): string {
    return shortened(`${this.base}-${part}`, maxLength);
  }

  /** `tribo_akron_dev_messages`, where a service takes no hyphen. */
  underscored(part: string, maxLength = 128): string {
    return shortened(`${this.base}-${part}`, maxLength).replaceAll('-', '_');
  }
}

function shortened(name: string, maxLength: number): string {
  if (name.length <= maxLength) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, DIGEST_LENGTH);
  const begin = name.slice(0, maxLength - DIGEST_LENGTH - 1).replace(/-+$/, '');
  return `${begin}-${digest}`;
}
