import { z } from 'zod';

/** What the platform itself is called at a site's broker, which gives rights by that name (docs/adapters/mqtt-device-gateway.md). */
export const GATEWAY_NAME = 'tribo-gateway';
/** The same of what publishes for any device, and reads nothing. */
export const RELAY_NAME = 'tribo-relay';

const OWN_NAMES = [GATEWAY_NAME, RELAY_NAME] as const;

/**
 * No device is registered by one of these: its certificate, issued to its id, would have the rights of whom the broker knows by it. Those
 * of the platform itself are always among them: to reserve another does not free one.
 */
export const reservedIdsSchema = z
  .array(z.string().min(1))
  .max(100)
  .overwrite((ids) => [...new Set([...OWN_NAMES, ...ids])])
  .default([...OWN_NAMES]);
