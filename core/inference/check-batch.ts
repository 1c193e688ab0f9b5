import { PortError } from '../errors.ts';
import { MAX_INFERENCE_BATCH } from '../ports/model-inference.ts';

/** What every runtime checks before it runs a model. @throws PortError invalid_argument, as `LoadedModel.infer` says. */
export function checkBatch(vectors: readonly Float64Array[], inputLength: number): void {
  if (vectors.length > MAX_INFERENCE_BATCH) {
    throw new PortError('invalid_argument', `at most ${MAX_INFERENCE_BATCH} vectors a call, got ${vectors.length}`);
  }
  for (const [i, vector] of vectors.entries()) {
    if (vector.length !== inputLength) {
      const detail = `vector ${i} has ${vector.length} elements, the model takes ${inputLength}`;
      throw new PortError('invalid_argument', detail);
    }
    if (!vector.every(Number.isFinite)) throw new PortError('invalid_argument', `vector ${i} has a non-finite element`);
  }
}
