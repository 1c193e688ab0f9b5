import { TerraformVariable } from 'cdktf';
import type { Construct } from 'constructs';

/** The image behind an endpoint of models (docs/model-server.md). */
export const MODEL_SERVER = 'model-server';

/** The images of a release, by service: what a tag points to may change, a digest never does. */
export function imageDigests(scope: Construct): TerraformVariable {
  const variable = new TerraformVariable(scope, 'images', {
    type: 'map(string)',
    description: 'By service the digest of its image: sha256:...',
    validation: [
      {
        condition:
          '${alltrue([for digest in values(var.image_digests) : can(regex("^sha256:[0-9a-f]{64}$", digest))])}',
        errorMessage: 'image_digests must be digests: sha256: and 64 hexadecimal digits.',
      },
    ],
  });
  variable.overrideLogicalId('image_digests');
  return variable;
}
