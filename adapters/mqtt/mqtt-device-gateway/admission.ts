/** Handles what comes one after another, in its order; whoever sends bounds how much waits. */
export class Admission<Message> {
  readonly #admit: (message: Message) => Promise<void>;
  readonly #waiting: Message[] = [];
  #isBusy = false;

  /** @param admit never rejects */
  constructor(admit: (message: Message) => Promise<void>) {
    this.#admit = admit;
  }

  take(message: Message): void {
    this.#waiting.push(message);
    if (!this.#isBusy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#admit(next);
    this.#isBusy = false;
  }
}
