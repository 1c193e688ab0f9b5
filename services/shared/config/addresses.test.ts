import { describe, expect, it } from '@jest/globals';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { platformAddresses } from './addresses.ts';

const PORTS = { httpPort: 8443, mqttPort: 8883 };
const NAME = 'tribo.plant.example';
const publicUrl = `https://${NAME}`;
const publicMqttUrl = `mqtts://mqtt.plant.example:443`;

describe('the addresses of a platform', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['::', '[::1]'],
    ['::1', '[::1]'],
    ['192.168.1.10', '192.168.1.10'],
  ])('that listens on %s without TLS are those of %s, for everybody', (host, shown) => {
    const listening = { url: `http://${shown}:8443`, mqttUrl: `mqtt://${shown}:8883` };
    const settings = { host, publicUrl: undefined, publicMqttUrl: undefined };
    expect(platformAddresses(settings, undefined, PORTS)).toEqual({ here: listening, everywhere: listening });
  });

  it('are the public ones for people and devices, and loopback for this machine, where something before it ends TLS', () => {
    expect(platformAddresses({ host: '127.0.0.1', publicUrl, publicMqttUrl }, undefined, PORTS)).toEqual({
      here: { url: 'http://127.0.0.1:8443', mqttUrl: 'mqtt://127.0.0.1:8883' },
      everywhere: { url: publicUrl, mqttUrl: publicMqttUrl },
    });
  });

  it.each([
    ['0.0.0.0', ['127.0.0.1', NAME], '127.0.0.1'],
    ['0.0.0.0', ['localhost', NAME], 'localhost'],
    ['127.0.0.1', ['localhost'], 'localhost'],
    ['192.168.1.10', ['192.168.1.10'], '192.168.1.10'],
  ])('on %s, with a certificate for %j, are that of %s for this machine', (host, names, shown) => {
    const tls = selfSignedCertificate({ names });
    const { here, everywhere } = platformAddresses({ host, publicUrl, publicMqttUrl: undefined }, tls, PORTS);
    expect(here).toEqual({ url: `https://${shown}:8443`, mqttUrl: `mqtts://${shown}:8883` });
    expect(everywhere).toEqual({ url: publicUrl, mqttUrl: `mqtts://${NAME}:8883` });
  });

  it('are the public ones also for this machine where the certificate is for no other', () => {
    const tls = selfSignedCertificate({ names: [NAME] });
    const { here, everywhere } = platformAddresses({ host: '0.0.0.0', publicUrl, publicMqttUrl }, tls, PORTS);
    expect(here).toEqual({ url: publicUrl, mqttUrl: publicMqttUrl });
    expect(everywhere).toEqual(here);
  });
});
