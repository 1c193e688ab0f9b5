import type { Grant } from '../../permissions.ts';

export const azureMlModelInferencePermissions: readonly Grant[] = [
  {
    actions: ['Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action'],
    on: 'the endpoint of <scoringUri>',
    role: 'AzureML Data Scientist',
  },
];
