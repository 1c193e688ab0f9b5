import { describe, expect, it } from '@jest/globals';
import { withoutProviders } from './other-stacks.ts';

const STACK = {
  terraform: { required_version: '>= 1.11.0', required_providers: { aws: { version: '5.100.0' }, kubernetes: {} } },
  provider: { aws: [{ region: 'eu-central-1' }], kubernetes: [{ host: '${data.aws_eks_cluster.one.endpoint}' }] },
  resource: {
    aws_eks_addon: {
      load: { addon_name: 'metrics-server', depends_on: ['kubernetes_manifest.pool'] },
      agent: { addon_name: 'agent', depends_on: ['kubernetes_manifest.pool', 'aws_eks_addon.load'] },
    },
    kubernetes_manifest: { pool: { manifest: {} } },
  },
  data: { kubernetes_nodes: { all: {} }, aws_region: { here: { depends_on: ['data.kubernetes_nodes.all'] } } },
  output: { ports: { value: '1' } },
};

describe('a stack without one of its providers', () => {
  it('has nothing of it, all of the others, and waits for nothing that is not there', () => {
    expect(withoutProviders(STACK, ['kubernetes'])).toEqual({
      terraform: { required_version: '>= 1.11.0', required_providers: { aws: { version: '5.100.0' } } },
      provider: { aws: [{ region: 'eu-central-1' }] },
      resource: {
        aws_eks_addon: {
          load: { addon_name: 'metrics-server' },
          agent: { addon_name: 'agent', depends_on: ['aws_eks_addon.load'] },
        },
      },
      data: { aws_region: { here: {} } },
      output: { ports: { value: '1' } },
    });
  });
});
