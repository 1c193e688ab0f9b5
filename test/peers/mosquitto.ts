import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  certificateAuthority,
  issuedCertificate,
  type TestCertificate,
} from '#test/support/self-signed-certificate.ts';
import { freePort, PeerProcess } from './peer-process.ts';

const PAGE = join(import.meta.dirname, '../../docs/adapters/mqtt-device-gateway.md');
/** Debian's place of the server, which is not on everybody's PATH. */
const PROGRAM = '/usr/sbin/mosquitto';

/**
 * A real Mosquitto from Debian's packages, with the configuration and the access rules that the adapter's page shows, on loopback ports and in
 * a folder of its own.
 */
export class Mosquitto implements AsyncDisposable {
  readonly devicePort: number;
  readonly platformPort: number;
  readonly #folder: string;
  readonly #deviceAuthority = certificateAuthority();
  readonly #platformAuthority = certificateAuthority();
  readonly #serverAuthority = certificateAuthority();
  #process: PeerProcess | undefined;

  /** @param furtherRules lines that a site adds to the access rules, at their end */
  static async start(furtherRules = ''): Promise<Mosquitto> {
    if (!existsSync(PROGRAM)) throw new Error("Mosquitto is not installed: it is Debian's package mosquitto");
    const broker = new Mosquitto(await freePort(), await freePort(), furtherRules);
    try {
      await broker.restart();
      return broker;
    } catch (error) {
      await broker[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(devicePort: number, platformPort: number, furtherRules: string) {
    this.devicePort = devicePort;
    this.platformPort = platformPort;
    this.#folder = mkdtempSync(join(tmpdir(), 'tribo-mosquitto-'));
    // It gives up root, where it is started as root.
    chmodSync(this.#folder, 0o777);
    this.#writePem('server', issuedCertificate(this.#serverAuthority));
    for (const name of ['gateway', 'relay'])
      this.#writePem(name, issuedCertificate(this.#platformAuthority, { commonName: `tribo-${name}` }));
    this.#write('device-ca.pem', this.#deviceAuthority.cert);
    this.#write('platform-ca.pem', this.#platformAuthority.cert);
    this.#write('server-ca.pem', this.#serverAuthority.cert);
    const { conf, acl } = shownOnThePage();
    this.#write('acl', `${acl}${furtherRules}\n`);
    this.#write('mosquitto.conf', this.#placed(conf));
  }

  /** The broker's authority, as devices have it. */
  get serverAuthority(): string {
    return this.#serverAuthority.cert;
  }

  /** Of the authority that the broker knows devices by. */
  deviceCertificate(id: string, validity: { readonly fromMs?: number; readonly toMs?: number } = {}): TestCertificate {
    return issuedCertificate(this.#deviceAuthority, { commonName: id, ...validity });
  }

  /** The same in a file, while the broker is not disposed. */
  get authorityFile(): string {
    return join(this.#folder, 'server-ca.pem');
  }

  /** As {@link deviceCertificate}, in files. */
  deviceFiles(id: string): { readonly certificateFile: string; readonly keyFile: string } {
    const name = `device-${id}`;
    this.#writePem(name, this.deviceCertificate(id));
    return this.#filesOf(name);
  }

  /** Settings of a gateway, as a site's file has them. */
  gatewaySettings(clientId: string) {
    return { ...this.#platformSettings('gateway'), clientId };
  }

  /** Of what publishes for devices, without its name. */
  get relaySettings() {
    return this.#platformSettings('relay');
  }

  /** Stops it, where it runs, and starts it again on its ports and data. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = await PeerProcess.start({
      name: 'Mosquitto',
      command: [PROGRAM, '-c', join(this.#folder, 'mosquitto.conf')],
      isReady: async () => (await isOpen(this.devicePort)) && (await isOpen(this.platformPort)),
    });
  }

  async stop(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #platformSettings(name: 'gateway' | 'relay') {
    const url = `mqtts://127.0.0.1:${this.platformPort}`;
    return { url, caFile: this.authorityFile, ...this.#filesOf(name) };
  }

  #placed(conf: string): string {
    return conf
      .replaceAll('/etc/mosquitto/tribo', this.#folder)
      .replaceAll('/var/lib/mosquitto', this.#folder)
      .replace('listener 8883', `listener ${this.devicePort} 127.0.0.1`)
      .replace('listener 8884', `listener ${this.platformPort} 127.0.0.1`);
  }

  #writePem(name: string, { cert, key }: TestCertificate): void {
    this.#write(`${name}.pem`, cert);
    this.#write(`${name}.key`, key);
  }

  #filesOf(name: string): { readonly certificateFile: string; readonly keyFile: string } {
    return { certificateFile: join(this.#folder, `${name}.pem`), keyFile: join(this.#folder, `${name}.key`) };
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), text);
  }
}

/** So that what the page shows is what is known to work. */
function shownOnThePage(): { readonly conf: string; readonly acl: string } {
  const page = readFileSync(PAGE, 'utf8');
  const block = (language: string): string => {
    const text = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'ms').exec(page)?.[1];
    if (text === undefined) throw new Error(`${PAGE} shows no ${language}`);
    return text;
  };
  return { conf: block('conf'), acl: block('acl') };
}

async function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
