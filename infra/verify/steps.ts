/** Runs what is proven: a line each, with its seconds, and at the end how many passed. */
export class Steps {
  #passed = 0;
  #failed = 0;

  /**
   * True where it passed. What it returns is said beside it; what it throws is told and counted, as `failure` where that name says more, and the next may
   * go on.
   */
  async run(name: string, prove: () => Promise<string | undefined>, failure = name): Promise<boolean> {
    const began = performance.now();
    const took = (): string => `${((performance.now() - began) / 1000).toFixed(0)} s`;
    try {
      const says = await prove();
      this.#passed += 1;
      console.log(`ok   ${name}${says === undefined ? '' : `: ${says}`} (${took()})`);
      return true;
    } catch (error) {
      this.#failed += 1;
      console.log(`FAIL ${failure} (${took()})\n${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }

  /** The last line, and whether all that was proven held: with nothing proven, nothing did. */
  end(): boolean {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0;
  }
}
