import { describe, expect, it } from '@jest/globals';
import type { SiteId, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { RelayedMessages } from '#core/ingestion/relayed-message.ts';
import { composeSensorDataProcessor } from './composition.ts';
import { sensorDataProcessor, type RelayedAt } from './sensor-data-processor.ts';

const NOW_MS = 1_795_222_900_000;
const messages = new RelayedMessages({ tenant: 'acme' as TenantId, site: 'akron' as SiteId });
const message = (device: string) =>
  JSON.stringify({ device_id: device, timestamp: 1795222800000, sensor_data: { current_mean: 4.2 } });
const published = (...texts: readonly string[]) => ({ Records: texts.map((Message) => ({ Sns: { Message } })) });

function opened(relayed: RelayedAt[] = []) {
  const relay = async (some: readonly RelayedAt[]) => void relayed.push(...some);
  return sensorDataProcessor(messages, relay, () => NOW_MS);
}

describe('sensor-data-processor', () => {
  it('hands on what was published, and answers that it did', async () => {
    const relayed: RelayedAt[] = [];
    await expect(opened(relayed)(published(message('press-7'), message('press-8')))).resolves.toEqual({
      statusCode: 200,
      body: 'Processed successfully',
    });
    expect(relayed.map(({ device, atMs }) => [device, atMs])).toEqual([
      ['press-7', NOW_MS],
      ['press-8', NOW_MS],
    ]);
  });

  it('takes the time at which the topic had it, where that is told', async () => {
    const relayed: RelayedAt[] = [];
    const Sns = { Message: message('press-7'), Timestamp: '2026-11-21T10:20:30.400Z', Type: 'Notification' };
    await opened(relayed)({ Records: [{ EventSource: 'aws:sns', Sns }] });
    expect(relayed.map(({ atMs }) => atMs)).toEqual([Date.UTC(2026, 10, 21, 10, 20, 30, 400)]);
  });

  it('fails for a message that names no device, after it handed on the others', async () => {
    const relayed: RelayedAt[] = [];
    await expect(opened(relayed)(published('temperature=61', message('press-8')))).rejects.toThrow(
      'a message must be JSON with a device_id',
    );
    expect(relayed.map(({ device }) => device)).toEqual(['press-8']);
  });

  it('fails where what it read could not be handed on, so that it is called again', async () => {
    const refused = new PortError('unavailable', 'put readings into devices: 1 of 1 were not taken');
    const failing = sensorDataProcessor(
      messages,
      () => Promise.reject(refused),
      () => NOW_MS,
    );
    await expect(failing(published(message('press-7')))).rejects.toBe(refused);
  });

  it.each([
    ['nothing', undefined],
    ['another event', { detail: {} }],
    ['no record', { Records: [] }],
    ['records of another service', { Records: [{ s3: {} }] }],
  ])('refuses %s', async (_what, event) => {
    await expect(opened()(event)).rejects.toThrow('Records');
  });

  it('does not start without its settings, and names each that is wrong', async () => {
    const env = { AWS_REGION: 'us-east-2', TRIBO_TENANT: 'acme/1', TRIBO_SITE: 'akron' };
    await expect(composeSensorDataProcessor(env)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/^the function's environment: TRIBO_DEVICE_STREAM: .*; TRIBO_TENANT: must be/),
    });
  });
});
