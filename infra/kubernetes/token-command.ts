/** How Terraform asks for a token of a cluster as it reaches it, by a command of the cloud, so that no token is in a state. */
export function tokenBy(command: string, ...args: readonly string[]) {
  return [{ apiVersion: 'client.authentication.k8s.io/v1beta1', command, args: [...args] }];
}
