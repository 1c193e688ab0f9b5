import type { ScannedStack } from './findings.ts';

/** Of each cloud what must never pass, and the check that has to say so: by it a run shows that it would have found it. */
export const PLANTED: readonly { readonly stack: ScannedStack; readonly check: string }[] = [
  {
    check: 'CKV_AWS_24',
    stack: {
      name: 'planted/aws',
      json: {
        resource: {
          aws_security_group: {
            open: {
              description: 'A shell for the whole world',
              ingress: [{ from_port: 22, to_port: 22, protocol: 'tcp', cidr_blocks: ['0.0.0.0/0'] }],
            },
          },
        },
      },
    },
  },
  {
    check: 'CKV_AZURE_59',
    stack: {
      name: 'planted/azure',
      json: {
        resource: {
          azurerm_storage_account: {
            open: {
              name: 'open',
              resource_group_name: 'open',
              location: 'northeurope',
              account_tier: 'Standard',
              account_replication_type: 'LRS',
              public_network_access_enabled: true,
            },
          },
        },
      },
    },
  },
  {
    check: 'CKV_GCP_28',
    stack: {
      name: 'planted/gcp',
      json: {
        resource: {
          google_storage_bucket_iam_member: {
            open: { bucket: 'open', role: 'roles/storage.objectViewer', member: 'allUsers' },
          },
        },
      },
    },
  },
];
