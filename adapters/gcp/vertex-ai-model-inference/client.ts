import { messageOf, PortError } from '#core/errors.ts';
import type { ModelEndpoint } from '../../hosted-model-inference.ts';
import { postJson } from '../../post-json.ts';
import { loadSdk } from '../../sdk.ts';
import { waitFor } from '../../wait-for.ts';
import { codeOfSignIn } from '../gcp-errors.ts';
import type { VertexAiModelInferenceConfig } from './config.ts';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';

/** Google's library of credentials and the REST call: `@google-cloud/aiplatform` is too large for the one method. It is loaded here and nowhere else. */
export async function openVertexEndpoint(
  config: VertexAiModelInferenceConfig,
): Promise<Pick<ModelEndpoint, 'invoke' | 'close'>> {
  const { GoogleAuth } = await loadSdk('Google Cloud', () => import('google-auth-library'));
  // It keeps a token as long as it is good, and need not look for the project.
  const auth = new GoogleAuth({ scopes: SCOPE, projectId: config.project });
  const url = urlOf(config);
  return {
    invoke: async (body, signal) => {
      const headers = await waitFor(auth.getRequestHeaders(url).catch(throwOfSignIn), signal);
      return postJson(url, body, Object.fromEntries(headers), signal);
    },
    close: () => undefined,
  };
}

/** Its errors are not those of a prediction, whatever they say. */
function throwOfSignIn(error: unknown): never {
  throw new PortError(codeOfSignIn(error), `signing in to Google Cloud: ${messageOf(error)}`, { cause: error });
}

/** `rawPredict` hands body and answer through as they are; `predict` would drop the model's description and refuse an empty batch. */
function urlOf({ project, location, endpointId, origin }: VertexAiModelInferenceConfig): string {
  const root = (origin ?? `https://${location}-aiplatform.googleapis.com`).replace(/\/$/, '');
  return `${root}/v1/projects/${project}/locations/${location}/endpoints/${endpointId}:rawPredict`;
}
