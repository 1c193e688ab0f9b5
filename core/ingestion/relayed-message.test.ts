import { describe, expect, it } from '@jest/globals';
import type { SiteId, TenantId } from '../domain/ids.ts';
import { RelayedMessages } from './relayed-message.ts';

const messages = new RelayedMessages({ tenant: 'acme' as TenantId, site: 'akron' as SiteId });
const read = (value: unknown) => messages.read(typeof value === 'string' ? value : JSON.stringify(value));

describe('a message that a program sends for a device', () => {
  it('is what the device would have published for the machine of its name', () => {
    const { device, topic, payload } = read({
      device_id: 'press-7',
      timestamp: 1795222800000,
      sensor_data: { current_mean: 4.2, temperature_mean: 61 },
    });
    expect({ device, topic }).toEqual({ device: 'press-7', topic: 'tribo/v1/acme/akron/press-7/telemetry' });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      ts: 1795222800000,
      metrics: { current_mean: 4.2, temperature_mean: 61 },
    });
  });

  it('is the same message when it comes again', () => {
    const sent = { device_id: 'press-7', timestamp: 1795222800000, sensor_data: { current_mean: 4.2 } };
    expect(Buffer.from(read(sent).payload)).toEqual(Buffer.from(read(sent).payload));
  });

  it('without metrics is passed on as it came, to be rejected for its machine', () => {
    const text = '{"device_id":"press-7","sensor_data":{}}';
    expect(read(text)).toMatchObject({ device: 'press-7', topic: 'tribo/v1/acme/akron/press-7/telemetry' });
    expect(Buffer.from(read(text).payload).toString()).toBe(text);
  });

  it.each([
    ['is not JSON', 'temperature=61'],
    ['names no device', { sensor_data: { temperature: 61 } }],
    ['names a device by what is no name', { device_id: 'press/7', sensor_data: { temperature: 61 } }],
    ['names a device by what is none to JavaScript', { device_id: '__proto__', sensor_data: { temperature: 61 } }],
  ])('that %s is refused, as there is nobody to count it for', (_why, value) => {
    expect(() => read(value)).toThrow(
      expect.objectContaining({
        code: 'invalid_argument',
        message: expect.stringMatching(
          /^a message must be JSON with a device_id .*; correct it where it is published$/,
        ),
      }),
    );
  });
});
