import { createHmac } from 'node:crypto';

const API_VERSION = '2021-04-12';

/** What a device signs in with, by a token of its key. */
export function deviceLogin(
  hub: string,
  { id, key, expiresMs }: { readonly id: string; readonly key: string; readonly expiresMs: number },
): { readonly username: string; readonly password: string } {
  return {
    username: `${hub}/${id}/?api-version=${API_VERSION}`,
    password: tokenOf(`${hub}/devices/${id}`, key, expiresMs),
  };
}

/** A device's one topic, with what the message is about among its properties: `machine` is `site/machine`. */
export function messageTopic(
  device: string,
  about: { readonly kind: 'telemetry' | 'waveform'; readonly machine: string; readonly sensor?: string },
): string {
  const bag = Object.entries({ '$.ct': 'application/json', ...about });
  return `devices/${device}/messages/events/${bag.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
}

/** https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas */
function tokenOf(resource: string, key: string, expiresMs: number): string {
  const [sr, se] = [encodeURIComponent(resource), Math.floor(expiresMs / 1000)];
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature)}&se=${se}`;
}
