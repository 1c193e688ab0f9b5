/** What a status topic says: `{"online": true|false}`; undefined for anything else, which says nothing. */
export function onlineOf(payload: Uint8Array): boolean | undefined {
  if (payload.length > MAX_STATUS_BYTES) return undefined;
  try {
    const status = JSON.parse(Buffer.from(payload).toString()) as { readonly online?: unknown } | null;
    return typeof status?.online === 'boolean' ? status.online : undefined;
  } catch {
    return undefined;
  }
}

const MAX_STATUS_BYTES = 1024;
