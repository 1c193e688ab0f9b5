import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isName, type MachineKey, type SensorId } from '../domain/ids.ts';
import { deviceTopic, parseDeviceTopic, type DeviceTopic } from './topics.ts';

const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/).filter(isName);
const machine = fc.tuple(name, name, name).map((names) => names.join('/') as MachineKey);

describe('device topics', () => {
  it('are read as they were built', () => {
    const topic = fc.oneof(
      fc.record({ kind: fc.constantFrom('telemetry', 'command', 'status'), machine }),
      fc.record({ kind: fc.constant('waveform'), machine, sensor: name.map((text) => text as SensorId) }),
    ) as fc.Arbitrary<DeviceTopic>;
    fc.assert(
      fc.property(topic, (each) => {
        expect(parseDeviceTopic(deviceTopic(each))).toEqual(each);
      }),
    );
  });

  it.each([
    'tribo/v1/acme/akron/press-7',
    'tribo/v1/acme/akron/press-7/telemetry/more',
    'tribo/v1/acme/akron/press-7/waveform',
    'tribo/v1/acme/akron/press-7/waveform/a/b',
    'tribo/v1/acme/akron/press-7/secrets',
    'tribo/v2/acme/akron/press-7/telemetry',
    'Tribo/v1/acme/akron/press-7/telemetry',
    '/tribo/v1/acme/akron/press-7/telemetry',
    'tribo/v1/acme//press-7/telemetry',
    'tribo/v1/../akron/press-7/telemetry',
    'tribo/v1/acme/akron/__proto__/telemetry',
    'tribo/v1/acme/akron/press 7/telemetry',
    'tribo/v1/acme/akron/+/telemetry',
    'tribo/v1/acme/akron/#',
    '$SYS/broker',
    '',
  ])('are not %p', (topic) => {
    expect(parseDeviceTopic(topic)).toBeUndefined();
  });
});
