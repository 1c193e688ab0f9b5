import type { EmailClientOptions, EmailMessage } from '@azure/communication-email';
import type { TokenCredential } from '@azure/identity';
import { loadSdk } from '../../sdk.ts';
import { waitFor } from '../../wait-for.ts';
import type { CommunicationNotifierConfig } from './config.ts';

const ACCEPTED = 202;
/** Where Azure does not say when to ask again. */
const POLL_MS = 1_000;

/** The call of Communication Services that the notifier makes, throwing what the SDK throws. */
export interface CommunicationCalls {
  /** Resolves once Azure has handed the mail over, and rejects when it gives it up; calls `onTaken` once it has taken it. */
  send(message: EmailMessage, operationId: string, onTaken: () => void, signal: AbortSignal): Promise<void>;
}

/** What a test has instead of Azure's own. */
export interface CommunicationSurroundings {
  readonly credential: TokenCredential;
  readonly tlsOptions: NonNullable<EmailClientOptions['tlsOptions']>;
}

/** The SDK is loaded here and nowhere else, so that a site without Communication Services never loads it. */
export async function openCommunication(
  { endpoint }: CommunicationNotifierConfig,
  test?: CommunicationSurroundings,
): Promise<CommunicationCalls> {
  const { EmailClient } = await loadSdk('Azure', () => import('@azure/communication-email'));
  const { DefaultAzureCredential } = await loadSdk('Azure', () => import('@azure/identity'));
  const client = new EmailClient(endpoint, test?.credential ?? new DefaultAzureCredential(), {
    // Retries are core/alerting's.
    retryOptions: { maxRetries: 0 },
    ...(test && { tlsOptions: test.tlsOptions }),
  });
  return {
    send: async (message, operationId, onTaken, abortSignal) => {
      const onResponse = ({ status }: { readonly status: number }) => {
        if (status === ACCEPTED) onTaken();
      };
      const options = { operationId, abortSignal, onResponse, updateIntervalInMs: POLL_MS };
      const sending = client.beginSend(message, options).then((poller) => poller.pollUntilDone({ abortSignal }));
      await waitFor(sending, abortSignal);
    },
  };
}
