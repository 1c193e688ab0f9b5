import type { Rejection } from '../domain/reading.ts';
import type { IntakeReceipt } from '../ports/device-gateway.ts';

/** Collects what became of one device message's events; resolves when all are durable, rejects when one is not. */
export class Acknowledgement {
  readonly promise: Promise<IntakeReceipt>;
  accepted = 0;
  duplicate = 0;
  #rejected: Rejection[] | undefined;
  readonly #resolve: (receipt: IntakeReceipt) => void;
  readonly #reject: (error: unknown) => void;
  #outstanding = 1;
  #error: unknown;

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<IntakeReceipt>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** One more event to wait for. The message itself counts as the first, so that it can't complete while it is still being read. */
  expect(): void {
    this.#outstanding++;
  }

  reject(rejections: readonly Rejection[]): void {
    (this.#rejected ??= []).push(...rejections);
  }

  done(): void {
    if (--this.#outstanding > 0) return;
    if (this.#error !== undefined) this.#reject(this.#error);
    else this.#resolve({ accepted: this.accepted, duplicate: this.duplicate, rejected: this.#rejected ?? NONE });
  }

  failed(error: unknown): void {
    this.#error ??= error;
    this.done();
  }
}

const NONE: readonly Rejection[] = [];
