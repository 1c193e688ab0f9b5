import type { Grant } from '../../permissions.ts';

export const vertexAiModelInferencePermissions: readonly Grant[] = [
  { actions: ['aiplatform.endpoints.predict'], on: 'endpoint <endpointId>', role: 'roles/aiplatform.user' },
];
