import { answered } from '../http-faults.ts';

/** An error as Blob Storage answers it. https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
export const blobError = (status: number, code: string) =>
  answered(
    status,
    `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>by the test</Message></Error>`,
    {
      'content-type': 'application/xml',
      'x-ms-error-code': code,
    },
  );
