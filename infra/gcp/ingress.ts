import { Construct } from 'constructs';
import { CertificateManagerCertificateMapEntry } from '@cdktf/provider-google/lib/certificate-manager-certificate-map-entry/index.js';
import { CertificateManagerCertificateMap } from '@cdktf/provider-google/lib/certificate-manager-certificate-map/index.js';
import { CertificateManagerCertificate } from '@cdktf/provider-google/lib/certificate-manager-certificate/index.js';
import { CertificateManagerDnsAuthorization } from '@cdktf/provider-google/lib/certificate-manager-dns-authorization/index.js';
import { ComputeBackendService } from '@cdktf/provider-google/lib/compute-backend-service/index.js';
import { ComputeGlobalAddress } from '@cdktf/provider-google/lib/compute-global-address/index.js';
import { ComputeGlobalForwardingRule } from '@cdktf/provider-google/lib/compute-global-forwarding-rule/index.js';
import { ComputeRegionNetworkEndpointGroup } from '@cdktf/provider-google/lib/compute-region-network-endpoint-group/index.js';
import { ComputeSslPolicy } from '@cdktf/provider-google/lib/compute-ssl-policy/index.js';
import { ComputeTargetHttpProxy } from '@cdktf/provider-google/lib/compute-target-http-proxy/index.js';
import { ComputeTargetHttpsProxy } from '@cdktf/provider-google/lib/compute-target-https-proxy/index.js';
import { ComputeUrlMap } from '@cdktf/provider-google/lib/compute-url-map/index.js';
import { DnsRecordSet } from '@cdktf/provider-google/lib/dns-record-set/index.js';
import type { FoundationStack } from './foundation-stack.ts';
import type { CloudRunServices } from './cloud-run-services.ts';
import { Firewall } from './firewall.ts';
import type { GcpStack } from './gcp-stack.ts';

const HSTS = 'Strict-Transport-Security: max-age=31536000; includeSubDomains';
const TTL_S = 300;

interface Parts {
  readonly foundation: FoundationStack;
  readonly services: CloudRunServices;
}

/** The one way in for people and programs: DNS, certificate, firewall and balancer, before the API alone. Devices come by their brokers. */
export class Ingress extends Construct {
  /** As metrics and logs of the balancer name it. */
  readonly backendName: string;

  constructor(scope: GcpStack, id: string, { foundation, services }: Parts) {
    super(scope, id);
    const { names, region, environment } = scope.site;
    const name = names.of('api', 63);
    const copies = new ComputeRegionNetworkEndpointGroup(this, 'copies', {
      name,
      region,
      networkEndpointType: 'SERVERLESS',
      cloudRun: { service: services.api.name },
    });
    const backend = new ComputeBackendService(this, 'backend', {
      name,
      loadBalancingScheme: 'EXTERNAL_MANAGED',
      backend: [{ group: copies.id }],
      securityPolicy: new Firewall(scope, 'firewall').policyId,
      customResponseHeaders: [HSTS],
      logConfig: { enable: true, sampleRate: 1 },
    });
    this.backendName = name;
    const address = new ComputeGlobalAddress(this, 'address', { name, addressType: 'EXTERNAL', ipVersion: 'IPV4' });
    const secure = new ComputeTargetHttpsProxy(this, 'https-proxy', {
      name,
      urlMap: new ComputeUrlMap(this, 'to-api', { name, defaultService: backend.id }).id,
      certificateMap: `//certificatemanager.googleapis.com/${this.#certificates(scope, foundation)}`,
      // TLS 1.2 and 1.3, forward secrecy alone.
      sslPolicy: new ComputeSslPolicy(this, 'tls', { name, minTlsVersion: 'TLS_1_2', profile: 'RESTRICTED' }).id,
    });
    const open = new ComputeTargetHttpProxy(this, 'http-proxy', {
      name,
      urlMap: new ComputeUrlMap(this, 'to-https', {
        name: names.of('to-https', 63),
        defaultUrlRedirect: {
          httpsRedirect: true,
          redirectResponseCode: 'MOVED_PERMANENTLY_DEFAULT',
          stripQuery: false,
        },
      }).id,
    });
    const rule = (part: string, port: number, target: string) =>
      new ComputeGlobalForwardingRule(this, part, {
        name: names.of(part, 63),
        loadBalancingScheme: 'EXTERNAL_MANAGED',
        ipAddress: address.address,
        ipProtocol: 'TCP',
        portRange: String(port),
        target,
      });
    rule('https', 443, secure.id);
    rule('http', 80, open.id);
    new DnsRecordSet(this, 'name', {
      managedZone: foundation.domain.zone,
      name: `${environment.domain}.`,
      type: 'A',
      ttl: TTL_S,
      rrdatas: [address.address],
    });
  }

  /** Proven by a record in the site's zone, and renewed by itself as long as that is there. */
  #certificates({ site: { names, environment } }: GcpStack, { domain }: FoundationStack): string {
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
    return map.id;
  }
}
