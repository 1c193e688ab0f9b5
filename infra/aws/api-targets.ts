import { Manifest } from '@cdktf/provider-kubernetes/lib/manifest/index.js';
import { Construct } from 'constructs';
import type { ITerraformDependable } from 'cdktf';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT } from '../service-settings.ts';
import type { Ingress } from './ingress.ts';

interface Parts {
  readonly namespace: string;
  readonly ingress: Ingress;
  readonly dependsOn: ITerraformDependable[];
}

/** The copies of the API, as they come and go, are the targets of the balancer of the stack `platform`. */
export class ApiTargets extends Construct {
  constructor(scope: Construct, id: string, { namespace, ingress, dependsOn }: Parts) {
    super(scope, id);
    new Manifest(this, 'api-gateway', {
      manifest: {
        apiVersion: 'eks.amazonaws.com/v1',
        kind: 'TargetGroupBinding',
        metadata: { name: PUBLIC_SERVICE, namespace },
        spec: {
          serviceRef: { name: PUBLIC_SERVICE, port: API_PORT },
          targetGroupARN: ingress.targetGroup.arn,
          targetType: 'ip',
        },
      },
      dependsOn,
    });
  }
}
