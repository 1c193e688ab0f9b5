import { z } from 'zod';
import { NOTICE_KINDS } from '#core/ports/alarm-journal.ts';

export const webhookNotifierConfigSchema = z.object({
  name: z.string().min(1).max(64).default('webhook'),
  url: z.url({ protocol: /^https?$/ }),
  /** Key of the signature; the receiver has the same. */
  secret: z.string().min(16),
  /** What is posted. */
  events: z.array(z.enum(NOTICE_KINDS)).min(1).default(['alarm', 'device']),
  /** The origin of the page, for links. */
  publicUrl: z.url().optional(),
  timeoutMs: z.int().min(100).max(60_000).default(10_000),
});

export type WebhookNotifierConfig = z.infer<typeof webhookNotifierConfigSchema>;
