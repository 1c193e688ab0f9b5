import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import type { PublishedRecord, Place } from '#core/delivery/partitioned-log.ts';
import { PortError } from '#core/errors.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import type { Batch, EventHubsClient } from './client.ts';
import { HubLog } from './hub-log.ts';

/** As the client tells an error of the SDK, by its code. */
function told(code: string, message = 'as the service says'): PortError {
  const cause = Object.assign(new Error(message), { name: 'MessagingError', code });
  return new PortError(codeOfAzureError(cause), `publish: ${code}`, { cause });
}

/** What the service says as it is busy, by the number of why. */
const busy = (number: number) =>
  told(
    'ServerBusyError',
    `The request was terminated because the entity is being throttled. Error code : ${number}. Please wait.`,
  );

async function logOn(openBatch: () => Promise<Partial<Batch>>): Promise<HubLog> {
  return HubLog.open({ partitionCount: async () => 2, openBatch } as unknown as EventHubsClient, 'metrics');
}

/** A log of batches of one event, of which none can be sent. */
const logThatFails = (error: PortError) => {
  let events = 0;
  return logOn(async () => ({ tryAdd: () => ++events === 1, send: () => Promise.reject(error) }));
};

const records = ['e-1', 'e-2'].map((id, index): PublishedRecord<Place> => ({
  ...{ event: sampleEvent(id), place: { partition: 0 } },
  stamp: { source: 'edge/0', epoch: 1, seq: index + 1, cumulativeItems: index + 1 },
}));

describe('a batch that an event hub has not taken', () => {
  it.each(['MessageTooLargeError', 'InsufficientCreditError', 'SenderBusyError'])(
    'is refused for certain by %s',
    async (code) => {
      const refused = told(code);
      expect(await (await logThatFails(refused)).append(0, records)).toEqual({ refused });
    },
  );

  it('is refused for certain by a service that throttles', async () => {
    const refused = busy(50002);
    expect(await (await logThatFails(refused)).append(0, records)).toEqual({ refused });
  });

  it('may be stored all the same where the service is busy for another reason, or says none', async () => {
    for (const error of [busy(50008), told('ServerBusyError'), told('ServerBusyError', 'SystemTracker:site~50002')])
      await expect((await logThatFails(error)).append(0, records)).rejects.toBe(error);
  });

  it.each([
    'InternalServerError',
    'ServiceUnavailableError',
    'OperationTimeoutError',
    'DetachForcedError',
    'MessagingEntityDisabledError',
    'MessagingEntityNotFoundError',
    'QuotaExceededError',
    'SendOperationFailedError',
    'UnauthorizedError',
    'ECONNRESET',
  ])('may be stored all the same after %s', async (code) => {
    const error = told(code);
    await expect((await logThatFails(error)).append(0, records)).rejects.toBe(error);
  });

  it('may be stored all the same where no answer came in time', async () => {
    const late = new PortError('deadline_exceeded', 'publish: no answer', { cause: AbortSignal.abort().reason });
    await expect((await logThatFails(late)).append(0, records)).rejects.toBe(late);
  });

  it('is refused for certain where there was no link to send it by, for whatever reason', async () => {
    const away = new PortError('deadline_exceeded', 'publish: no answer within 15000 ms');
    expect(await (await logOn(() => Promise.reject(away))).append(0, records)).toEqual({ refused: away });
  });

  it('is refused for certain where its first event does not fit', async () => {
    const log = await logOn(async () => ({ tryAdd: () => false }));
    expect(await log.append(0, records)).toEqual({ refused: expect.objectContaining({ code: 'invalid_argument' }) });
  });
});
