import { TerraformVariable, type TerraformStack } from 'cdktf';

/**
 * The object ids of the people and pipelines that apply the stacks of the site, as expressions have them. They are named, not taken from the run:
 * who applies in turn would else take each other's rights away. Whoever runs and is not among them is told so.
 * @param refusal what they will not be able to do
 */
export function deployers(stack: TerraformStack, refusal = 'the vault of keys will not let it plan or apply'): string {
  // Asked for once a stack, for however many vaults.
  if (stack.node.tryFindChild('deployers')) return 'var.deployers';
  const variable = new TerraformVariable(stack, 'deployers', {
    type: 'set(string)',
    description:
      'Object ids in Entra ID of the people and pipelines that apply the stacks of the site, whoever applies now among them',
    validation: [
      {
        condition:
          '${length(var.deployers) > 0 && alltrue([for id in var.deployers : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])}',
        errorMessage:
          'deployers must be one or more object ids, such as az ad signed-in-user show --query id and az ad sp show --id <client id> --query id say.',
      },
    ],
  });
  variable.overrideLogicalId('deployers');
  stack.addOverride('check.deployer', {
    assert: {
      condition: '${contains(var.deployers, data.azurerm_client_config.who.object_id)}',
      error_message: `\${data.azurerm_client_config.who.object_id}, as whom this runs, is not among deployers: ${refusal}.`,
    },
  });
  return 'var.deployers';
}
