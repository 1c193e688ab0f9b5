import { deployedContract, VERIFICATION_MARK, wasLeft, type Verification } from '#core/contracts/verification.ts';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
import type { BucketObjectStore } from './bucket-object-store.ts';

/** What is left is removed in turns of so many calls at once. */
const AT_ONCE = 50;
const PAGE = 1_000;

/** Runs the contract of object stores below a prefix of a bucket, `where` for who reads: `bucket akron`. */
export function bucketVerification(
  store: BucketObjectStore,
  { run, where, needs }: { readonly run: string; readonly where: string; readonly needs: string },
): Verification {
  const prefix = `${VERIFICATION_MARK}/`;
  let cases = 0;
  const makeHarness = async () => ({
    store,
    prefix: `${prefix}${run}/${++cases}/`,
    [Symbol.asyncDispose]: async () => undefined,
  });
  return {
    ...{ makes: `some 1,300 objects of at most 12 MiB in ${where}, below ${prefix}${run}/`, needs },
    contracts: [deployedContract(objectStoreContract, makeHarness)],
    sweep: async (isOver) => {
      let removed = 0;
      for (let after: string | undefined; ;) {
        const page = await store.list({ prefix, limit: PAGE, ...(after !== undefined && { after }) });
        const left = page.filter(({ key }) => wasLeft(key, isOver));
        for (let from = 0; from < left.length; from += AT_ONCE)
          await Promise.all(left.slice(from, from + AT_ONCE).map(({ key }) => store.delete(key)));
        removed += left.length;
        if (page.length < PAGE) return removed;
        after = page.at(-1)?.key;
      }
    },
    close: async () => store.close(),
  };
}
