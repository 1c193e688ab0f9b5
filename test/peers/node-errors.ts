/*
 * Jest runs tests in a context of their own, where the errors of Node's own sockets are not `instanceof Error`: SDKs that ask that would
 * make something else of them than in production.
 */
import { lstatSync } from 'node:fs';

const ordinary = Function.prototype[Symbol.hasInstance];
const nodes = errorOfNode();
Object.defineProperty(Error, Symbol.hasInstance, {
  value(this: unknown, given: unknown): boolean {
    return ordinary.call(this as () => void, given) || (this === Error && ordinary.call(nodes, given));
  },
});

function errorOfNode(): () => void {
  try {
    lstatSync('/nowhere/at/all');
  } catch (error) {
    return (error as object).constructor as () => void;
  }
  throw new Error('there is a file /nowhere/at/all');
}
