import { Construct } from 'constructs';
import { CertificateManagerCertificateMapEntry } from '@cdktf/provider-google/lib/certificate-manager-certificate-map-entry/index.js';
import { CertificateManagerCertificateMap } from '@cdktf/provider-google/lib/certificate-manager-certificate-map/index.js';
import { CertificateManagerCertificate } from '@cdktf/provider-google/lib/certificate-manager-certificate/index.js';
import { CertificateManagerDnsAuthorization } from '@cdktf/provider-google/lib/certificate-manager-dns-authorization/index.js';
import { ComputeGlobalAddress } from '@cdktf/provider-google/lib/compute-global-address/index.js';
import { ComputeSslPolicy } from '@cdktf/provider-google/lib/compute-ssl-policy/index.js';
import { DnsRecordSet } from '@cdktf/provider-google/lib/dns-record-set/index.js';
import type { FoundationStack } from './foundation-stack.ts';
import { Firewall } from './firewall.ts';
import type { GcpStack } from './gcp-stack.ts';

/** Nobody comes without TLS who was here before. */
export const HSTS = { name: 'Strict-Transport-Security', value: 'max-age=31536000; includeSubDomains' } as const;
const TTL_S = 300;

/** What the API is reached by, whichever balancer leads to it: address, name, certificate, firewall, and which TLS is spoken. */
export abstract class ApiFront extends Construct {
  /** Of the API's calls at the balancer, in a filter of metrics: `resource.labels.<label>=...`. */
  abstract readonly ofMetrics: string;
  /** Of those among them that end once they are answered; undefined where the balancer does not tell them from streams that stay open. */
  abstract readonly ofAnswers: string | undefined;
  /** What all parts of it are called, but those of which there are two. */
  readonly apiName: string;
  protected readonly address: ComputeGlobalAddress;
  /** The map of certificates, and its name. */
  protected readonly certificates: CertificateManagerCertificateMap;
  protected readonly firewall: Firewall;
  protected readonly tls: ComputeSslPolicy;

  constructor(scope: GcpStack, id: string, foundation: FoundationStack) {
    super(scope, id);
    const { names, environment } = scope.site;
    this.apiName = names.of('api', 63);
    const name = this.apiName;
    this.firewall = new Firewall(scope, 'firewall');
    this.address = new ComputeGlobalAddress(this, 'address', { name, addressType: 'EXTERNAL', ipVersion: 'IPV4' });
    this.certificates = this.#certificates(scope, foundation);
    // TLS 1.2 and 1.3, forward secrecy alone.
    this.tls = new ComputeSslPolicy(this, 'tls', { name, minTlsVersion: 'TLS_1_2', profile: 'RESTRICTED' });
    new DnsRecordSet(this, 'name', {
      managedZone: foundation.domain.zone,
      name: `${environment.domain}.`,
      type: 'A',
      ttl: TTL_S,
      rrdatas: [this.address.address],
    });
  }

  /** Proven by a record in the site's zone, and renewed by itself as long as that is there. */
  #certificates({ site: { names, environment } }: GcpStack, { domain }: FoundationStack) {
    const name = names.of('api', 63);
    const proof = new CertificateManagerDnsAuthorization(this, 'certificate-proof', {
      name,
      domain: environment.domain,
    });
    const record = proof.dnsResourceRecord.get(0);
    new DnsRecordSet(this, 'certificate-record', {
      managedZone: domain.zone,
      name: record.name,
      type: record.type,
      ttl: TTL_S,
      rrdatas: [record.data],
    });
    const certificate = new CertificateManagerCertificate(this, 'certificate', {
      name,
      managed: { domains: [environment.domain], dnsAuthorizations: [proof.id] },
    });
    const map = new CertificateManagerCertificateMap(this, 'certificates', { name });
    new CertificateManagerCertificateMapEntry(this, 'certificate-of-api', {
      name,
      map: map.name,
      hostname: environment.domain,
      certificates: [certificate.id],
    });
    return map;
  }
}
