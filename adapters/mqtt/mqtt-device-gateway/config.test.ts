import { describe, expect, it } from '@jest/globals';
import { mqttDeviceGatewayConfigSchema } from './config.ts';

const least = { url: 'mqtts://broker:8883', clientId: 'gateway-1' };
const problems = (change: object) =>
  mqttDeviceGatewayConfigSchema.safeParse({ ...least, ...change }).error?.issues.map(({ path }) => path.join('.'));

describe('the settings of the gateway', () => {
  it.each([
    ['the least', {}],
    ['a certificate of its own', { certificateFile: 'a.pem', keyFile: 'a.key' }],
    ['a user and a password', { username: 'tribo', passwordVariable: 'BROKER_PASSWORD' }],
    ['plain TCP on loopback', { url: 'mqtt://127.0.0.1:1883' }],
    ['plain TCP on loopback by IPv6', { url: 'mqtt://[::1]:1883' }],
  ])('take %s', (_what, change) => {
    expect(problems(change)).toBeUndefined();
  });

  it.each([
    ['plain TCP elsewhere', { url: 'mqtt://broker:1883' }, ['url']],
    ['an address without a port', { url: 'mqtts://broker' }, ['url']],
    ['a password in the address', { url: 'mqtts://tribo:secret@broker:8883' }, ['url']],
    ['a certificate without a key', { certificateFile: 'a.pem' }, ['keyFile']],
    ['a user without a password', { username: 'tribo' }, ['passwordVariable']],
    ['a password itself', { username: 'tribo', passwordVariable: 'P', password: 'x' }, ['']],
    ['a root of two levels', { topicRoot: 'a/b' }, ['topicRoot']],
    ['no name', { clientId: undefined }, ['clientId']],
  ])('refuse %s', (_what, change, paths) => {
    expect(problems(change)).toEqual(paths);
  });
});
