import { loadSdk } from '../../sdk.ts';
import { clientSettings } from '../aws-place.ts';
import type { SesNotifierConfig } from './config.ts';

/** The call of SES that the notifier makes: one attempt, throwing what the SDK throws. */
export interface SesCalls {
  /** A whole mail, headers and body. */
  send(mail: Uint8Array, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without SES never loads it. */
export async function openSes(config: SesNotifierConfig): Promise<SesCalls> {
  const { SESv2Client, SendEmailCommand } = await loadSdk('AWS', () => import('@aws-sdk/client-sesv2'));
  const client = new SESv2Client(clientSettings(config));
  const { from: FromEmailAddress, to: ToAddresses, configurationSet: ConfigurationSetName } = config;
  return {
    send: async (Data, abortSignal) => {
      const command = new SendEmailCommand({
        ...{ FromEmailAddress, Destination: { ToAddresses }, Content: { Raw: { Data } } },
        ...(ConfigurationSetName !== undefined && { ConfigurationSetName }),
      });
      await client.send(command, { abortSignal });
    },
    close: () => client.destroy(),
  };
}
