import { modelInferenceContract } from '#core/contracts/model-inference.contract.ts';
import { deployedContract, type Verification } from '#core/contracts/verification.ts';
import type { ModelInference } from '#core/ports/model-inference.ts';

/** They run one small model, and let no other go. */
const OF_ONE_MODEL: ReadonlySet<string> = new Set([
  'scores a golden vector and explains the score',
  'gives a batch what it gives its vectors one by one, in their order',
  'takes an empty batch, and one of the largest size',
  'leaves vectors and artifact as they were',
  'refuses a vector of another length or with a non-finite element, and goes on',
  'rejects at once for a caller that has stopped waiting',
]);

/** Has one model of a few hundred bytes score vectors, as each call brings the model that the server does not have. */
export async function inferenceVerification(
  open: () => Promise<ModelInference>,
  { where, needs }: { readonly where: string; readonly needs: string },
): Promise<Verification> {
  const makeHarness = async () => {
    const inference = await open();
    return { inference, [Symbol.asyncDispose]: () => inference.close() };
  };
  const reason =
    "not checked, as further models in the server's memory may push out those of the site; by hand: at an endpoint that no site uses";
  const leftOut = modelInferenceContract.cases
    .filter(({ name }) => !OF_ONE_MODEL.has(name))
    .map(({ name }) => ({ case: name, reason }));
  return {
    makes: `a model of a few hundred bytes in the memory of ${where}, until the server needs the room`,
    needs,
    contracts: [deployedContract(modelInferenceContract, makeHarness, leftOut)],
    sweep: async () => 0,
    close: async () => undefined,
  };
}
