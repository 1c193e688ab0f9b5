import { writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { environmentsPage, generatedSchemas } from './generated-documents.ts';

/** Writes the schemas for editors and docs/environments.md anew. */
const at = (path: string) => new URL(`../../../${path}`, import.meta.url);
for (const [path, schema] of Object.entries(generatedSchemas()))
  writeFileSync(at(path), await format(JSON.stringify(schema), { parser: 'json', printWidth: 120 }));
writeFileSync(at('docs/environments.md'), environmentsPage());
