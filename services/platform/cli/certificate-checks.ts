import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { messageOf } from '#core/errors.ts';
import { certificateProblem, platformAddresses, unbracketed } from '#services/shared/config/addresses.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { ownCertificate, readPem, readTls, type TlsTexts } from '#services/shared/tls/certificates.ts';
import type { ApiClient } from './api-client.ts';
import type { Check } from './doctor-check.ts';

const DAY_MS = 86_400_000;
/** Before its end a certificate should have been renewed; a short-lived one in the last third of its life. */
const RENEWED_BEFORE_MS = 30 * DAY_MS;
const ANSWERS_WITHIN_MS = 5000;

/** What is wrong with the configured certificate, or will be soon; none without TLS. */
export function certificateChecks(settings: Configuration, nowMs: number): Check[] {
  let tls: TlsTexts | undefined;
  try {
    tls = readTls(settings);
    if (settings.tlsCaFile !== undefined) ownCertificate(readPem(settings.tlsCaFile, 'TRIBO_TLS_CA_FILE'));
  } catch (error) {
    return [{ name: 'certificate', ok: false, detail: messageOf(error) }];
  }
  return tls ? [validityCheck(ownCertificate(tls.cert), nowMs), namesCheck(settings, tls)] : [];
}

function validityCheck({ validFromDate, validToDate }: X509Certificate, nowMs: number): Check {
  const [fromMs, toMs] = [validFromDate.getTime(), validToDate.getTime()];
  const isExpired = nowMs > toMs;
  const leftMs = toMs - nowMs;
  const date = (at: Date): string => at.toISOString().slice(0, 16).replace('T', ' ');
  if (nowMs < fromMs) {
    const remedy = 'set the clock of this machine right, or wait';
    return { name: 'certificate', ok: false, detail: `not valid before ${date(validFromDate)} UTC`, remedy };
  }
  return {
    name: 'certificate',
    ok: leftMs >= Math.min(RENEWED_BEFORE_MS, (toMs - fromMs) / 3),
    detail: `${isExpired ? 'expired' : 'valid until'} ${date(validToDate)} UTC${isExpired ? '' : `, ${Math.floor(leftMs / DAY_MS)} days`}`,
    remedy: 'renew it in the files of TRIBO_TLS_CERT and TRIBO_TLS_KEY, then send the platform SIGHUP',
  };
}

function namesCheck(settings: Configuration, tls: TlsTexts): Check {
  const { url, mqttUrl } = platformAddresses(settings, tls, settings).everywhere;
  const hosts = [...new Set([url, mqttUrl].map((each) => unbracketed(new URL(each).hostname)))];
  const problems = hosts.flatMap((host) => certificateProblem(tls.cert, host) ?? []);
  return {
    name: 'certificate names',
    ok: problems.length === 0,
    detail: problems.join('; ') || `it is for ${hosts.join(' and ')}`,
    remedy: `set TRIBO_PUBLIC_URL (and TRIBO_PUBLIC_MQTT_URL) to an address that it names (${ownCertificate(tls.cert).subjectAltName ?? 'none'}), or have one made for ${hosts.join(' and ')}`,
  };
}

/** Whether the servers that run present the certificate that is in the file now. @throws Error where one cannot be reached. */
export async function servedCertificateChecks(settings: Configuration, client: ApiClient): Promise<Check[]> {
  const tls = readTls(settings);
  if (!tls) return [];
  const { fingerprint256 } = ownCertificate(tls.cert);
  const checks = [client.url, client.mqttUrl].map(async (url): Promise<Check[]> => {
    if (url === undefined || !/^(https|mqtts):/.test(url)) return [];
    const isInUse = (await presented(new URL(url))).fingerprint256 === fingerprint256;
    return [
      {
        name: 'certificate in use',
        ok: isInUse,
        detail: `${url} presents ${isInUse ? 'the one in the file' : 'an earlier one than is in the file'}`,
        remedy:
          'send the platform SIGHUP: kill -HUP and its process id, the first number in platform.pid of the data folder',
      },
    ];
  });
  return (await Promise.all(checks)).flat();
}

async function presented({ hostname, port }: URL): Promise<X509Certificate> {
  const host = unbracketed(hostname);
  const socket: TLSSocket = connect({ host, port: Number(port || 443), ...(isIP(host) === 0 && { servername: host }) });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) });
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) throw new Error(`${host}:${port} presents no certificate`);
    return certificate;
  } finally {
    socket.destroy();
  }
}
