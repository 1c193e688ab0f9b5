/** Something with a time. */
interface Timed {
  readonly tsMs: number;
}

/** Merges streams, each in order of its own, into one in order of time. Holds one item of each stream. */
export async function* inTimeOrder<Item extends Timed>(
  streams: readonly AsyncGenerator<Item, void, undefined>[],
): AsyncGenerator<Item, void, undefined> {
  const heap: Head<Item>[] = [];
  try {
    for (const stream of streams) await advance(heap, { stream });
    for (let head = pop(heap); head; head = pop(heap)) {
      yield head.item;
      await advance(heap, head);
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return()));
  }
}

interface Head<Item> {
  readonly item: Item;
  readonly stream: AsyncGenerator<Item, void, undefined>;
}

async function advance<Item extends Timed>(heap: Head<Item>[], { stream }: Pick<Head<Item>, 'stream'>): Promise<void> {
  const { done, value } = await stream.next();
  if (done !== true) push(heap, { item: value, stream });
}

function push<Item extends Timed>(heap: Head<Item>[], head: Head<Item>): void {
  let at = heap.push(head) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]!.item.tsMs <= head.item.tsMs) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = head;
}

function pop<Item extends Timed>(heap: Head<Item>[]): Head<Item> | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (!top || !last || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]!.item.tsMs < heap[child]!.item.tsMs) child++;
    if (heap[child]!.item.tsMs >= last.item.tsMs) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return top;
}
