/** Of a document of an issuer; Entra's keys, the largest known, are 20 KB. */
const MAX_DOCUMENT_BYTES = 262_144;

/** The body of an issuer's answer. @throws Error where it is larger than any document of an issuer. */
export async function bodyOf(response: Response, url: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    // Leaving the loop ends the transfer.
    if (bytes > MAX_DOCUMENT_BYTES) throw new Error(`${url} answers with more than ${MAX_DOCUMENT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
