import { X509Certificate } from 'node:crypto';
import type { Environment } from './environment.ts';
import type { RuleProblem } from './environment-rules.ts';

/** What is wrong with the authorities of devices: a tenant that is not the environment's, and certificates that issue nothing or are there twice. */
export function authorityProblems({ devices, tenants }: Environment): readonly RuleProblem[] {
  const digests: string[] = [];
  return (devices?.authorities ?? []).flatMap(({ tenant, certificate }, index): readonly RuleProblem[] => {
    const at = ['devices', 'authorities', index];
    const problems: RuleProblem[] = tenants.includes(tenant)
      ? []
      : [{ at: [...at, 'tenant'], problem: `must be one of tenants, ${tenants.join(', ')}, got ${tenant}` }];
    const read = readCertificate(certificate);
    const wrong = read ? certificateProblem(read, digests.indexOf(read.fingerprint256)) : 'cannot be read';
    digests.push(read?.fingerprint256 ?? '');
    return wrong === undefined ? problems : [...problems, { at: [...at, 'certificate'], problem: wrong }];
  });
}

function certificateProblem({ ca, subject }: X509Certificate, former: number): string | undefined {
  if (!ca)
    return `must be that of an authority (basicConstraints CA:TRUE), got one of ${subject.replaceAll('\n', ', ')}`;
  // Else it would depend on the order whose devices those with its certificates are.
  if (former >= 0) return `is that of devices.authorities[${former}]: an authority speaks for one tenant`;
  return undefined;
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
