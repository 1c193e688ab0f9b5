import type { Grant } from '../../permissions.ts';

/** https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiot.html */
export const iotCoreDeviceRegistryPermissions: readonly Grant[] = [
  {
    actions: ['iot:CreateThing', 'iot:UpdateThing', 'iot:DescribeThing', 'iot:DeleteThing'],
    on: 'arn:aws:iot:<region>:*:thing/*',
  },
  {
    actions: [
      ...['iot:ListThings', 'iot:CreateKeysAndCertificate', 'iot:DescribeCertificate', 'iot:UpdateCertificate'],
      ...['iot:DeleteCertificate', 'iot:ListThingPrincipals', 'iot:AttachThingPrincipal', 'iot:DetachThingPrincipal'],
      ...['iot:AttachPolicy', 'iot:DetachPolicy', 'iot:ListAttachedPolicies'],
    ],
    on: '*',
  },
];
