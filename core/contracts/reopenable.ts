/** A store, opened once; `reopen` opens another client of it. Disposing closes them all, and does what comes last. */
export async function openReopenable<Store extends { close(): Promise<void> }>(
  open: () => Promise<Store>,
  last: () => void = () => undefined,
) {
  const opened: Store[] = [];
  const reopen = async (): Promise<Store> => {
    const store = await open();
    opened.push(store);
    return store;
  };
  return {
    store: await reopen(),
    reopen,
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) await each.close();
      last();
    },
  };
}
