import { z } from 'zod';

/** What the platform itself is called at a site's broker, which gives rights by that name (docs/adapters/mqtt-device-gateway.md). */
export const GATEWAY_NAME = 'tribo-gateway';

/** No device is registered by one of these: its certificate, issued to its id, would have the rights of whom the broker knows by it. */
export const reservedIdsSchema = z.array(z.string().min(1)).max(100).default([GATEWAY_NAME]);
