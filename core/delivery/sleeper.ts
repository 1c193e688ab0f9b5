/** Sleeps that can be ended early: also one that begins after the call to wake. */
export class Sleeper {
  #isWoken = false;
  #end: () => void = () => undefined;

  wake(): void {
    this.#isWoken = true;
    this.#end();
  }

  /** Resolves after so long, or once woken; Infinity: only then. */
  async sleep(ms: number): Promise<void> {
    if (!this.#isWoken && ms > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        if (ms !== Infinity) timer = setTimeout(resolve, Math.ceil(ms));
      });
      clearTimeout(timer);
    }
    this.#isWoken = false;
  }
}
