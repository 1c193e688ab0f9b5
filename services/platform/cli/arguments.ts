import { InvalidArgumentError } from 'commander';

/** A whole number of at least 1. @throws InvalidArgumentError, as all here do; the command ends with wrong use. */
export function count(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}

/** A number above 0. */
export function numberUpTo(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (value > 0 && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number above 0 and at most ${most}.`);
  };
}

/** Names with commas between them, each one of `known`. */
export function listOf(known: readonly string[]): (text: string) => string {
  return (text) => {
    const unknown = text.split(',').filter((each) => !known.includes(each));
    if (unknown.length === 0) return text;
    throw new InvalidArgumentError(`There is no ${unknown.join(', ')}; allowed are ${known.join(', ')}.`);
  };
}

/** Text that says something. */
export function words(text: string): string {
  if (text.trim() !== '') return text;
  throw new InvalidArgumentError('It must say something.');
}
