import { PortError, type CallOptions } from '../errors.ts';
import type { ModelInference } from '../ports/model-inference.ts';
import type { ModelDraft, ModelRef } from '../ports/model-registry.ts';
import { HEALTH_MODEL, healthParametersProblem } from './health-model.ts';

/** What a model must take and be before it may be registered: where it fails, and which part of the draft is wrong. */
export type DraftProblem = { readonly field: 'artifact' | 'inputs' | 'parameters'; readonly detail: string };

/**
 * Proves that a version would run here before anybody can promote it: loads the artifact, scores a vector of ones, and closes it again.
 * Undefined when it would.
 *
 * @throws PortError when the runtime is away or full: then nothing is known of the draft.
 */
export async function draftProblem(
  inference: Pick<ModelInference, 'load'>,
  model: Pick<ModelRef, 'name'>,
  { artifact, inputs, parameters }: Pick<ModelDraft, 'artifact' | 'inputs' | 'parameters'>,
  options: CallOptions = {},
): Promise<DraftProblem | undefined> {
  const twice = inputs.find((input, index) => inputs.indexOf(input) !== index);
  if (twice !== undefined) return { field: 'inputs', detail: `${twice} is named twice` };
  const unfit = model.name === HEALTH_MODEL ? healthParametersProblem(parameters) : undefined;
  if (unfit !== undefined) return { field: 'parameters', detail: `a ${HEALTH_MODEL} model needs ${unfit}` };
  try {
    const loaded = await inference.load(artifact, options);
    try {
      if (loaded.inputLength !== inputs.length) {
        const detail = `the model takes ${loaded.inputLength} inputs, ${inputs.length} are named`;
        return { field: 'inputs', detail };
      }
      await loaded.infer([new Float64Array(inputs.length).fill(1)], options);
      return undefined;
    } finally {
      await loaded.close();
    }
  } catch (error) {
    if (!(error instanceof PortError) || (error.code !== 'invalid_argument' && error.code !== 'internal')) throw error;
    return { field: 'artifact', detail: error.message };
  }
}
