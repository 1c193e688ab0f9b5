import type { Grant } from '../../permissions.ts';

export const sagemakerModelInferencePermissions: readonly Grant[] = [
  { actions: ['sagemaker:InvokeEndpoint'], on: 'arn:aws:sagemaker:<region>:*:endpoint/<endpointName>' },
];
