import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const folder = join(import.meta.dirname, '../../core/ports');

describe('a port', () => {
  it.each(readdirSync(folder).filter((name) => name.endsWith('.ts')))(
    'says in a comment on each export and each method what it promises: %s',
    (name) => {
      const source = readFileSync(join(folder, name), 'utf8');
      const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true);
      expect(file.statements.filter(isExported).flatMap(uncommented)).toEqual([]);
    },
  );
});

function uncommented(statement: ts.Statement): readonly string[] {
  const members = ts.isInterfaceDeclaration(statement)
    ? statement.members.filter((each) => ts.isMethodSignature(each))
    : [];
  return [statement, ...members]
    .filter((node) => ts.getJSDocCommentsAndTags(node).length === 0)
    .map((node) => node.getText().split('\n')[0]!);
}

function isExported(statement: ts.Statement): boolean {
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  return modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword);
}
