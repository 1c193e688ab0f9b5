import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import type { PublishedRecord, Place } from '#core/delivery/partitioned-log.ts';
import { PortError } from '#core/errors.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import type { Batch, EventHubsClient } from './client.ts';
import { HubLog } from './hub-log.ts';

/** As the client tells an error of the SDK, by its code. */
function told(code: string): PortError {
  const cause = Object.assign(new Error('as the service says'), { name: 'MessagingError', code });
  return new PortError(codeOfAzureError(cause), `publish: ${code}`, { cause });
}

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
  it.each(['ServerBusyError', 'QuotaExceededError', 'MessageTooLargeError', 'UnauthorizedError', 'SenderBusyError'])(
    'is refused for certain by %s',
    async (code) => {
      const refused = told(code);
      expect(await (await logThatFails(refused)).append(0, records)).toEqual({ refused });
    },
  );

  it.each([
    'InternalServerError',
    'ServiceUnavailableError',
    'OperationTimeoutError',
    'DetachForcedError',
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
