import type { PublishCommandInput } from '@aws-sdk/client-sns';
import { loadSdk } from '../../sdk.ts';
import { clientSettings, type AwsPlace } from '../aws-place.ts';

/** The call of SNS that the notifier makes: one attempt, throwing what the SDK throws. */
export interface SnsCalls {
  publish(message: PublishCommandInput, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without SNS never loads it. */
export async function openSns(place: AwsPlace): Promise<SnsCalls> {
  const { SNSClient, PublishCommand } = await loadSdk('AWS', () => import('@aws-sdk/client-sns'));
  const client = new SNSClient(clientSettings(place));
  return {
    publish: async (message, abortSignal) => {
      await client.send(new PublishCommand(message), { abortSignal });
    },
    close: () => client.destroy(),
  };
}
