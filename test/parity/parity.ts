import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import ts from 'typescript';
import type { Collected } from './collected.ts';

/**
 * What is missing in a tree, one sentence each: a port without a contract or a token, a contract without an adapter, an adapter that does
 * not run its port's contract or is bound nowhere, a provider that no site may choose, a token that no provider binds.
 */
export function parityProblems(root: string, collected: Collected): readonly string[] {
  const ports = namesIn(join(root, 'core/ports'), '.ts').filter((name) => name !== 'tokens');
  const adapters = foldersBelow(join(root, 'adapters'));
  const tokens = tokensOf(root);
  const modules = modulesOf(root);
  return [
    ...contractProblems(ports, collected),
    ...adapterProblems(ports, adapters, collected),
    ...tokenProblems(ports, tokens, modules),
    ...adapters
      .filter((adapter) => !modules.some((module) => module.imports.has(adapter)))
      .map((adapter) => `adapters/${adapter} is bound nowhere: import it in its provider's module.ts`),
    ...familyProblems(root, modules),
  ];
}

function contractProblems(ports: readonly string[], { contracts, runs }: Collected): readonly string[] {
  const problems: string[] = [];
  for (const port of ports)
    if (!contracts.some((each) => each.port === port && each.file === port && each.capability === undefined))
      problems.push(`core/ports/${port}.ts has no contract: write core/contracts/${port}.contract.ts`);
  for (const { file, port, capability, cases } of contracts) {
    if (!ports.includes(port)) problems.push(`core/contracts/${file}.contract.ts is about ${port}, which is no port`);
    if (!runs.some((run) => run.port === port && run.capability === capability))
      problems.push(`no adapter runs the contract of ${capability ?? port}`);
    for (const name of cases.filter((each, index) => cases.indexOf(each) !== index))
      problems.push(`the contract of ${capability ?? port} has two cases named "${name}"`);
  }
  return problems;
}

function adapterProblems(
  ports: readonly string[],
  adapters: readonly string[],
  { runs }: Collected,
): readonly string[] {
  return adapters.flatMap((adapter) => {
    const port = ports.find((each) => adapter.endsWith(`-${each}`));
    if (port === undefined) return [`adapters/${adapter} ends in no port's name: call it <service>-<port>`];
    const isRun = runs.some((run) => run.adapter === adapter && run.port === port && run.capability === undefined);
    return isRun ? [] : [`adapters/${adapter} does not run the contract of ${port}`];
  });
}

function tokenProblems(
  ports: readonly string[],
  tokens: ReadonlyMap<string, readonly string[]>,
  modules: readonly ProviderModule[],
): readonly string[] {
  const tokenised = new Set([...tokens.values()].flat());
  return [
    ...ports
      .filter((port) => !tokenised.has(port))
      .map((port) => `core/ports/${port}.ts has no token: add it to BoundPorts`),
    ...[...tokens.keys()]
      .filter((token) => !modules.some((module) => module.binds.has(token)))
      .map((token) => `no provider's module.ts binds ${token}`),
  ];
}

/** The embedded provider is what a site has without choosing. */
function familyProblems(root: string, modules: readonly ProviderModule[]): readonly string[] {
  const path = join(root, 'adapters/providers.ts');
  const families = existsSync(path) ? importedAdapters(root, path) : new Set<string>();
  return modules
    .filter(({ provider }) => provider !== 'embedded' && !families.has(`${provider}/module.ts`))
    .map(({ provider }) => `no site may choose of adapters/${provider}: add it to FAMILIES in adapters/providers.ts`);
}

/** Tokens of BoundPorts, each with the base names of the port files that its type is made of. */
function tokensOf(root: string): ReadonlyMap<string, readonly string[]> {
  const file = parse(join(root, 'core/ports/tokens.ts'));
  const portOfType = new Map<string, string>();
  const tokens = new Map<string, readonly string[]>();
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) {
      const from = basename(specifierOf(statement), '.ts');
      const named = statement.importClause?.namedBindings;
      if (named && ts.isNamedImports(named)) for (const { name } of named.elements) portOfType.set(name.text, from);
    }
    if (ts.isInterfaceDeclaration(statement) && statement.name.text === 'BoundPorts')
      for (const member of statement.members) {
        const types = identifiersIn(member).flatMap((name) => portOfType.get(name) ?? []);
        if (member.name && ts.isIdentifier(member.name)) tokens.set(member.name.text, types);
      }
  }
  return tokens;
}

interface ProviderModule {
  /** Its folder below adapters/. */
  readonly provider: string;
  /** First arguments of its calls of `provide`. */
  readonly binds: ReadonlySet<string>;
  /** Adapters that it imports something of. */
  readonly imports: ReadonlySet<string>;
}

function modulesOf(root: string): readonly ProviderModule[] {
  const providers = readdirSync(join(root, 'adapters'), { withFileTypes: true }).filter((each) => each.isDirectory());
  return providers
    .map(({ name }) => ({ provider: name, path: join(root, 'adapters', name, 'module.ts') }))
    .filter(({ path }) => existsSync(path))
    .map(({ provider, path }) => ({ provider, binds: boundIn(parse(path)), imports: importedAdapters(root, path) }));
}

function boundIn(file: ts.SourceFile): ReadonlySet<string> {
  const binds = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'provide') {
      const [token] = node.arguments;
      if (token && ts.isStringLiteral(token)) binds.add(token.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return binds;
}

function importedAdapters(root: string, path: string): ReadonlySet<string> {
  const specifiers = parse(path)
    .statements.filter((each) => ts.isImportDeclaration(each))
    .map(specifierOf);
  return new Set(
    specifiers.map((specifier) => {
      const file = specifier.startsWith('#')
        ? specifier.replace(/^#adapters\//, '')
        : relative(join(root, 'adapters'), join(dirname(path), specifier));
      return file.split('/').slice(0, 2).join('/');
    }),
  );
}

function identifiersIn(node: ts.Node): readonly string[] {
  const found: string[] = [];
  const visit = (each: ts.Node): void => {
    if (ts.isIdentifier(each)) found.push(each.text);
    ts.forEachChild(each, visit);
  };
  visit(node);
  return found;
}

function specifierOf(declaration: ts.ImportDeclaration): string {
  return ts.isStringLiteral(declaration.moduleSpecifier) ? declaration.moduleSpecifier.text : '';
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest);
}

function namesIn(folder: string, ending: string): readonly string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(ending) && !name.endsWith(`.test${ending}`));
  return files.map((name) => basename(name, ending)).sort();
}

/** `<provider>/<folder>` of each. */
function foldersBelow(root: string): readonly string[] {
  const folders = (path: string) =>
    readdirSync(path, { withFileTypes: true })
      .filter((each) => each.isDirectory())
      .map((each) => each.name)
      .sort();
  return folders(root).flatMap((provider) => folders(join(root, provider)).map((folder) => `${provider}/${folder}`));
}
