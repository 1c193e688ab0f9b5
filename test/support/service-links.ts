import { afterEach } from '@jest/globals';
import { linkKeyOf } from '#services/shared/rpc/link-tls.ts';
import { ServiceLink, type ServiceLinkOptions } from '#services/shared/rpc/service-link.ts';

/** Of the links of one site. */
export const key = linkKeyOf('a key of links that is long enough');
/** Of another site's. */
export const another = linkKeyOf('another key that is as long as that');
/** For an answer on a machine that has much else to do. */
export const PATIENCE = { waitMs: 30_000 };
/** Asks a copy for its name. */
export const call = { port: 'echo', method: 'name', given: [], name: 'echo' } as const;

/** What copies were told of callers that they did not take. */
export const refusals: string[] = [];
/** Of whom. */
export const origins: object[] = [];
export function tellRefusal(about: object, what: string): void {
  origins.push(about);
  refusals.push(what);
}
/** What links were told of copies that they did not reach. */
export const problems: string[] = [];

/** In hexadecimal, of what was answered: alerts of TLS (RFC 8446, 5.1 and 6), which say nothing of what is behind. */
export const NOTHING_OR_ALERT = /^(15030[1-4]0002.{4})*$/;

/** Ends after each test what it opened, the last first. */
export const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).toReversed()) await each();
});

/** A link that looks again soon, and is closed after the test. */
export function openLink(
  addresses: ServiceLinkOptions['addresses'],
  further: Partial<ServiceLinkOptions> = {},
): ServiceLink {
  const link = new ServiceLink({
    ...{ service: 'echo-service', addresses, key, lookAgainMs: 20 },
    ...{ warn: (what: string) => problems.push(what), ...further },
  });
  cleanUp.push(() => link.close());
  return link;
}
