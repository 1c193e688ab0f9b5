import { describe, expect, it } from '@jest/globals';
import { messageRecord, parseDeviceRecord } from './device-record.ts';

const record = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

describe('a record of a topic rule', () => {
  it('has the payload of a message byte for byte, with its topic, client and time', () => {
    const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const selected = {
      payload: Buffer.from(payload).toString('base64'),
      topic: 'tribo/v1/acme/akron/press-7/telemetry',
      clientId: 'gauge-1',
      principal: 'a'.repeat(64),
      timestamp: 1481825251155,
    };
    const read = parseDeviceRecord(record(selected));
    expect(read).toMatchObject({
      ...{ kind: 'message', topic: selected.topic, device: 'gauge-1', atMs: 1481825251155 },
    });
    expect(read?.kind === 'message' && [...read.payload]).toEqual([...payload]);
  });

  it('is read as it was written by who stands in for the rule', () => {
    const sent = {
      ...{ device: 'gauge-1', topic: 'tribo/v1/acme/akron/press-7/telemetry', atMs: 1481825251155 },
      payload: Buffer.from([0, 255, 10]),
    };
    expect(parseDeviceRecord(messageRecord(sent))).toEqual({ kind: 'message', ...sent });
  });

  // The examples of https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
  it.each([
    [
      'a device that came',
      {
        clientId: '186b5',
        timestamp: 1573002230757,
        eventType: 'connected',
        sessionIdentifier: 'a4666d2a7d844ae4ac5d7b38c9cb7967',
        principalIdentifier: '12345678901234567890123456789012',
        ipAddress: '192.0.2.0',
        versionNumber: 0,
      },
      {
        kind: 'presence',
        session: 'a4666d2a7d844ae4ac5d7b38c9cb7967',
        online: true,
        isClean: false,
        atMs: 1573002230757,
      },
    ],
    [
      'a device that said goodbye',
      {
        clientId: '186b5',
        timestamp: 1573002340451,
        eventType: 'disconnected',
        sessionIdentifier: 'a4666d2a7d844ae4ac5d7b38c9cb7967',
        principalIdentifier: '12345678901234567890123456789012',
        clientInitiatedDisconnect: true,
        disconnectReason: 'CLIENT_INITIATED_DISCONNECT',
        versionNumber: 0,
      },
      {
        kind: 'presence',
        session: 'a4666d2a7d844ae4ac5d7b38c9cb7967',
        online: false,
        isClean: true,
        atMs: 1573002340451,
      },
    ],
    [
      'a device that listens',
      {
        clientId: '186b5',
        timestamp: 1460065214626,
        eventType: 'subscribed',
        sessionIdentifier: '00000000-0000-0000-0000-000000000000',
        principalIdentifier: '000000000000/ABCDEFGHIJKLMNOPQRSTU:some-user/ABCDEFGHIJKLMNOPQRSTU:some-user',
        topics: ['foo/bar', 'device/data', 'dog/cat'],
      },
      {
        ...{ kind: 'subscriptions', session: '00000000-0000-0000-0000-000000000000', atMs: 1460065214626 },
        ...{ isSubscribed: true, topics: ['foo/bar', 'device/data', 'dog/cat'] },
      },
    ],
  ])('is %s, as AWS documents it', (_what, event, expected) => {
    expect(parseDeviceRecord(record(event))).toEqual({ device: '186b5', ...expected });
  });

  const failure = {
    ruleName: 'TestAction',
    topic: 'testme/action',
    cloudwatchTraceId: '7e146a2c-95b5-6caf-98b9-50e3969734c7',
    clientId: 'iotconsole-1511213971966-0',
    base64OriginalPayload: 'ewogICJtZXNzYWdlIjogIkhlbGxvIHZyb20gQVdTIElvVCBjb25zb2xlIgp9',
    failures: [{ failedAction: 'S3Action', failedResource: 'us-east-1-s3-verify-user', errorMessage: 'Failed' }],
  };

  // The example of https://docs.aws.amazon.com/iot/latest/developerguide/rule-error-handling.html
  it('is the message itself where its action failed, as AWS documents it', () => {
    const read = parseDeviceRecord(record(failure));
    expect(read).toMatchObject({ kind: 'message', topic: 'testme/action', device: 'iotconsole-1511213971966-0' });
    expect(read?.kind === 'message' && Buffer.from(read.payload).toString()).toContain('Hello vrom AWS IoT console');
  });

  it('is the event itself where its action failed', () => {
    const event = { clientId: '186b5', timestamp: 1, eventType: 'connected', sessionIdentifier: 's' };
    const base64OriginalPayload = record(event).toString('base64');
    const topic = '$aws/events/presence/connected/186b5';
    expect(parseDeviceRecord(record({ ...failure, topic, base64OriginalPayload }))).toMatchObject({
      ...{ kind: 'presence', device: '186b5', online: true },
    });
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '\u0000'],
    ['a number', '1'],
    ['a message without a client', { payload: '', topic: 't', timestamp: 1 }],
    ['a message whose payload is no base64', { payload: '%', topic: 't', clientId: 'c', timestamp: 1 }],
    ['an event of another kind', { clientId: 'c', timestamp: 1, eventType: 'connect_failed', sessionIdentifier: 's' }],
  ])('is none where it has %s', (_what, value) => {
    expect(parseDeviceRecord(record(value))).toBeUndefined();
  });
});
