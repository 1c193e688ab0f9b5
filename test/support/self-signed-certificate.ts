import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

interface CertificateOptions {
  /** Whose it is. */
  readonly commonName?: string;
  /** What it is for: host names and IPv4 addresses. */
  readonly names?: readonly string[];
  /** An hour ago unless told otherwise. */
  readonly fromMs?: number;
  /** In a day unless told otherwise. */
  readonly toMs?: number;
}

const SUBJECT = 'tribo test';
const AUTHORITY = 'tribo test authority';

/** A name of its own for each key: of two trusted authorities of one name, what the one issued may be checked against the other. */
function named(name: string, key: KeyObject): string {
  const bytes = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return `${name} ${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
}

/** A certificate that is its own authority, made for one test, so that no key lies in the repository. For 127.0.0.1 unless told otherwise. */
export function selfSignedCertificate(options: CertificateOptions = {}): TestCertificate {
  const { privateKey, publicKey } = newKeys();
  const own = named(SUBJECT, privateKey);
  return {
    cert: certificate(publicKey, own, privateKey, own, [namesOf(options)], options),
    key: pem(privateKey),
  };
}

/** An authority that issues certificates. */
export function certificateAuthority(): TestCertificate {
  const { privateKey, publicKey } = newKeys();
  const isAuthority = sequence(oid('551d13'), der(0x01, TRUE), octets(sequence(der(0x01, TRUE))));
  const own = named(AUTHORITY, privateKey);
  return { cert: certificate(publicKey, own, privateKey, own, [isAuthority], {}), key: pem(privateKey) };
}

/** A certificate of that authority. */
export function issuedCertificate(authority: TestCertificate, options: CertificateOptions = {}): TestCertificate {
  const { privateKey, publicKey } = newKeys();
  const issuerKey = createPrivateKey(authority.key);
  return {
    cert: certificate(
      publicKey,
      options.commonName ?? SUBJECT,
      issuerKey,
      named(AUTHORITY, issuerKey),
      [namesOf(options)],
      options,
    ),
    key: pem(privateKey),
  };
}

/** X.509 version 3 (RFC 5280). */
function certificate(
  subjectKey: KeyObject,
  subject: string,
  issuerKey: KeyObject,
  issuer: string,
  extensions: readonly Buffer[],
  { fromMs = Date.now() - 3_600_000, toMs = Date.now() + 86_400_000 }: CertificateOptions,
): string {
  const unsigned = sequence(
    der(0xa0, integer(2)),
    integer(1),
    ECDSA_WITH_SHA256,
    commonName(issuer),
    sequence(time(fromMs), time(toMs)),
    commonName(subject),
    subjectKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', unsigned, issuerKey)]));
  const body = sequence(unsigned, ECDSA_WITH_SHA256, signature)
    .toString('base64')
    .replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
}

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function namesOf({ names = ['127.0.0.1'] }: CertificateOptions): Buffer {
  const each = names.map((name) =>
    isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, Buffer.from(name.split('.').map(Number))),
  );
  return sequence(oid('551d11'), octets(sequence(...each)));
}

function commonName(name: string): Buffer {
  return sequence(set(sequence(oid('550403'), utf8(name))));
}

/** Tag, length, value (X.690). */
function der(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const lengthBytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), value]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function set(part: Buffer): Buffer {
  return der(0x31, part);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function utf8(text: string): Buffer {
  return der(0x0c, Buffer.from(text));
}

function octets(value: Buffer): Buffer {
  return der(0x04, value);
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]));
}

function time(ms: number): Buffer {
  return der(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));
}

const TRUE = Buffer.from([0xff]);
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
