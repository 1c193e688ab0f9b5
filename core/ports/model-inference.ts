import type { CallOptions } from '../errors.ts';

/** Runs models. The same artifact and vector give the same score wherever it runs, within the runtime's float rounding. */
export interface ModelInference {
  /**
   * Makes the artifact ready to run. It must have one input, a matrix of vectors (batch x features) of 32- or 64-bit floats, and an output
   * `score` with one number a vector; an optional output `deviations` (batch x features) says how far each feature is from normal.
   * @throws PortError invalid_argument (empty, corrupt, another shape, an operator that the runtime lacks), unavailable (no runtime),
   * resource_exhausted (too many models are loaded, or the runtime has no memory for one more now), failed_precondition (closed, it can run
   * only once it is deployed where models are hosted, or the runtime had no memory for it several times in succession: a model that never
   * fits must not keep whoever tries again, and all that waits behind it, for ever).
   */
  load(artifact: Uint8Array, options?: CallOptions): Promise<LoadedModel>;
  /** Releases the runtime and the models that are still loaded. Idempotent. */
  close(): Promise<void>;
}

/** One model in the runtime's memory, until it is closed. */
export interface LoadedModel {
  /** Elements of an input vector. */
  readonly inputLength: number;
  /** Whether {@link Inference.deviations} is given. */
  readonly explains: boolean;
  /**
   * Scores each vector by itself: a batch gives the same as its vectors one by one. Not changed; safe to call concurrently. An empty
   * batch gives no scores.
   * @throws PortError invalid_argument (more than {@link MAX_INFERENCE_BATCH} vectors, a vector of another length or with a non-finite
   * element), resource_exhausted (the runtime has no memory for it now, or the service that hosts it throttles), failed_precondition (closed, or
   * the runtime had no memory for so many vectors several times in succession), internal (the runtime failed).
   */
  infer(vectors: readonly Float64Array[], options?: CallOptions): Promise<Inference>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** What a model says of a batch of vectors. */
export interface Inference {
  /** One number a vector, in their order. What it means is the model's; for health models 0 is normal and larger is worse. */
  readonly scores: Float64Array;
  /** One vector for each vector of the batch, where the model explains itself: signed, in the model's own measure, 0 is normal. */
  readonly deviations?: readonly Float64Array[];
}

/** Vectors a call. */
export const MAX_INFERENCE_BATCH = 4096;
