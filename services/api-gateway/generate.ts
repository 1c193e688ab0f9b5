import { writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { generatedDocuments } from './documents/generated-documents.ts';

/** Writes docs/openapi.json and docs/asyncapi.json anew. */
for (const [path, document] of Object.entries(generatedDocuments())) {
  writeFileSync(
    new URL(`../../${path}`, import.meta.url),
    await format(JSON.stringify(document), { parser: 'json', printWidth: 120 }),
  );
}
