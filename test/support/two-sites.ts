/** Two stores that know nothing of each other, as the contracts of moving want them. */
export async function twoSites<Here, There>(
  openHere: () => Promise<{ readonly store: Here } & AsyncDisposable>,
  openThere: () => Promise<{ readonly store: There } & AsyncDisposable>,
) {
  const here = await openHere();
  const there = await openThere();
  return {
    port: here.store,
    elsewhere: there.store,
    [Symbol.asyncDispose]: async () => {
      await there[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}
