/** Runs what is proven one after another: a line each, with its minutes, and at the end how many passed. */
export class Steps {
  #passed = 0;
  #failed = 0;

  /** True where it passed. What it returns is said beside it; what it throws is told and counted, and the next may go on. */
  async run(name: string, prove: () => Promise<string | undefined>): Promise<boolean> {
    const began = performance.now();
    const minutes = (): string => `${((performance.now() - began) / 60_000).toFixed(1)} min`;
    try {
      const says = await prove();
      this.#passed += 1;
      console.log(`ok   ${name}${says === undefined ? '' : `: ${says}`} (${minutes()})`);
      return true;
    } catch (error) {
      this.#failed += 1;
      console.log(`FAIL ${name} (${minutes()})\n${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }

  /** The last line, and whether all that was proven held: with nothing proven, nothing did. */
  end(): boolean {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0;
  }
}
