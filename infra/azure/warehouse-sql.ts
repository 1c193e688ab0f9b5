import {
  HISTORY_PREFIX,
  HISTORY_TABLES,
  RAW_TABLE,
  type ColumnType,
  type WarehouseTable,
} from '../warehouse-tables.ts';

/** The tables are in a schema of this name, in a database of the platform's. */
const DATABASE = 'tribo';
const SCHEMA = 'history';
/** By whose right files are read: that of the workspace. */
const CREDENTIAL = 'objects';
/** Where files are: nothing else of the container can be asked for, although the workspace may read all of it. */
const EXPORTS = 'exports';
const RAW = 'raw';
const PARQUET = 'parquet';
/** What whoever asks is a member of. */
const READER = 'history_reader';
/** Text is compared and cut as it is in the files, without which the pool reads them slower. */
const COLLATION = 'Latin1_General_100_BIN2_UTF8';
/** Folders of the raw archive, by what each is the name of. */
const RAW_FOLDERS = ['tenant', 'site', 'day', 'hour'];
/** No character of JSON: a line is one column. */
const NO_CHARACTER = '0x0b';

/** As the pool reads them from Parquet: https://learn.microsoft.com/azure/synapse-analytics/sql/develop-openrowset#type-mapping-for-parquet */
const IN_PARQUET: Readonly<Record<ColumnType, string>> = {
  text: 'varchar(8000)',
  byte: 'tinyint',
  int: 'int',
  long: 'bigint',
  double: 'float',
  flag: 'bit',
  json: 'varchar(8000)',
};
/** As OPENJSON takes them from a line, of whatever length. */
const IN_JSON: Readonly<Record<ColumnType, string>> = {
  ...IN_PARQUET,
  text: 'nvarchar(max)',
  json: 'nvarchar(max) AS JSON',
};

/** What the tables are over, and how much may be read. */
interface Warehouse {
  /** `https://<account>.blob.core.windows.net/objects`. */
  readonly containerUrl: string;
  /** What all queries together may read in a day, and in a month: whole terabytes, as Azure knows no less. */
  readonly limitTb: Readonly<Record<'daily' | 'monthly', number>>;
}

/**
 * What makes of a serverless pool a warehouse, as a file for `sqlcmd`: bounds, tables over the files of the list, and the role of those who ask. None
 * of it is a resource. It may be run again: tables are made anew, and what is there of the rest stays.
 */
export function warehouseSql({ containerUrl, limitTb }: Warehouse): string {
  const batches = [
    'USE master',
    ...Object.entries(limitTb).map(
      ([type, tb]) => `EXEC sp_set_data_processed_limit @type = N'${type}', @limit_tb = ${tb}`,
    ),
    `IF DB_ID(N'${DATABASE}') IS NULL CREATE DATABASE [${DATABASE}] COLLATE ${COLLATION}`,
    `USE [${DATABASE}]`,
    masterKey(),
    `${unless('sys.database_scoped_credentials', CREDENTIAL)}
CREATE DATABASE SCOPED CREDENTIAL [${CREDENTIAL}] WITH IDENTITY = 'Managed Identity'`,
    dataSource(EXPORTS, `${containerUrl}/${HISTORY_PREFIX.replace(/\/$/, '')}`),
    dataSource(RAW, `${containerUrl}/raw`),
    `${unless('sys.external_file_formats', PARQUET)}
CREATE EXTERNAL FILE FORMAT [${PARQUET}] WITH (FORMAT_TYPE = PARQUET)`,
    // A batch of its own is all that a schema is made in.
    `IF SCHEMA_ID(N'${SCHEMA}') IS NULL EXEC (N'CREATE SCHEMA [${SCHEMA}]')`,
    ...Object.values(HISTORY_TABLES).flatMap(historyTable),
    rawView(RAW_TABLE),
    `IF DATABASE_PRINCIPAL_ID(N'${READER}') IS NULL CREATE ROLE [${READER}]`,
    `GRANT SELECT ON SCHEMA::[${SCHEMA}] TO [${READER}]`,
    `GRANT REFERENCES ON DATABASE SCOPED CREDENTIAL::[${CREDENTIAL}] TO [${READER}]`,
    // A view asks for files as whoever asks it: of sources with the credential there are no others than these two.
    `GRANT ADMINISTER DATABASE BULK OPERATIONS TO [${READER}]`,
  ];
  return batches.map((batch) => `${batch};\nGO\n`).join('');
}

/** A database wants one before a credential. It guards none, as this credential has no secret, so nobody has to know it. */
function masterKey(): string {
  return `IF NOT EXISTS (SELECT * FROM sys.symmetric_keys WHERE name = N'##MS_DatabaseMasterKey##')
BEGIN
  DECLARE @make nvarchar(300) = N'CREATE MASTER KEY ENCRYPTION BY PASSWORD = ''' + CONVERT(nvarchar(36), NEWID()) + N'z' + CONVERT(nvarchar(36), NEWID()) + N'''';
  EXEC sp_executesql @make;
END`;
}

function dataSource(name: string, location: string): string {
  return `${unless('sys.external_data_sources', name)}
CREATE EXTERNAL DATA SOURCE [${name}] WITH (LOCATION = '${location}', CREDENTIAL = [${CREDENTIAL}])`;
}

function unless(catalog: string, name: string): string {
  return `IF NOT EXISTS (SELECT * FROM ${catalog} WHERE name = N'${name}')`;
}

function historyTable({ name, columns }: WarehouseTable): readonly string[] {
  const table = `[${SCHEMA}].[${name}]`;
  return [
    `IF OBJECT_ID(N'${table}') IS NOT NULL DROP EXTERNAL TABLE ${table}`,
    `CREATE EXTERNAL TABLE ${table} (
${columnsOf(columns, IN_PARQUET)}
) WITH (LOCATION = '${name}/*.parquet', DATA_SOURCE = [${EXPORTS}], FILE_FORMAT = [${PARQUET}])`,
  ];
}

/** A query that names folders reads those alone, which tables cannot say: so it is a view. */
function rawView({ name, columns }: WarehouseTable): string {
  const folders = RAW_FOLDERS.map((folder, index) => `  [file].filepath(${index + 1}) AS [${folder}],`);
  return `CREATE OR ALTER VIEW [${SCHEMA}].[${name}] AS
SELECT
${folders.join('\n')}
  [message].*
FROM OPENROWSET(
  BULK '${[...RAW_FOLDERS, 'object'].map(() => '*').join('/')}', DATA_SOURCE = '${RAW}', FORMAT = 'CSV', PARSER_VERSION = '1.0',
  FIELDTERMINATOR = '${NO_CHARACTER}', FIELDQUOTE = '${NO_CHARACTER}', DATA_COMPRESSION = 'GZIP'
) WITH ([line] nvarchar(max)) AS [file]
CROSS APPLY OPENJSON([file].[line]) WITH (
${columnsOf(columns, IN_JSON)}
) AS [message]`;
}

function columnsOf(columns: WarehouseTable['columns'], types: Readonly<Record<ColumnType, string>>): string {
  return Object.entries(columns)
    .map(([column, type]) => `  [${column}] ${types[type]}`)
    .join(',\n');
}
