import type { StampedEvent } from '#core/domain/event.ts';

/** Consecutive events of the log. */
export interface EventBlock {
  readonly firstPosition: number;
  readonly events: readonly StampedEvent[];
}

/** The newest events that this process published, as the objects they were, for its own consumers. Bounded by bytes; may have gaps. */
export class TailCache {
  readonly #maxBytes: number;
  #blocks: SizedBlock[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a block after all others. */
  add(block: EventBlock, bytes: number): void {
    this.#blocks.push({ ...block, bytes });
    this.#bytes += bytes;
    let excess = 0;
    while (this.#bytes > this.#maxBytes && excess < this.#blocks.length) this.#bytes -= this.#blocks[excess++]!.bytes;
    if (excess > 0) this.#blocks.splice(0, excess);
  }

  /** The block that contains the position. */
  find(position: number): EventBlock | undefined {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const block = this.#blocks[middle]!;
      if (block.firstPosition + block.events.length <= position) low = middle + 1;
      else high = middle;
    }
    const block = this.#blocks[low];
    return block && block.firstPosition <= position ? block : undefined;
  }

  /** Forgets what no consumer will ask for any more. */
  dropBefore(position: number): void {
    let passed = 0;
    for (const block of this.#blocks) {
      if (block.firstPosition + block.events.length > position) break;
      this.#bytes -= block.bytes;
      passed++;
    }
    if (passed > 0) this.#blocks.splice(0, passed);
  }
}

interface SizedBlock extends EventBlock {
  readonly bytes: number;
}
