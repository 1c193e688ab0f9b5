import type { Configuration } from '#services/shared/config/settings.ts';
import type { ApiClient } from './api-client.ts';

/** Where devices reach the broker of the platform: as that says itself, else as it is configured here, else beside its API. */
export function brokerOf(
  { everywhere, url }: ApiClient,
  { publicMqttUrl, mqttPort }: Pick<Configuration, 'publicMqttUrl' | 'mqttPort'>,
): string {
  const { protocol, hostname } = new URL(url);
  return (
    everywhere?.mqttUrl ?? publicMqttUrl ?? `${protocol === 'https:' ? 'mqtts' : 'mqtt'}://${hostname}:${mqttPort}`
  );
}
