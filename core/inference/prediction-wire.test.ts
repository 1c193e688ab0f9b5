import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PortError } from '../errors.ts';
import {
  decodeAnswer,
  decodeError,
  decodeRequest,
  encodeAnswer,
  encodeError,
  encodeRequest,
} from './prediction-wire.ts';

const SHA256 = 'a'.repeat(64);
const vector = fc.array(fc.double(), { minLength: 2, maxLength: 2 }).map((each) => Float64Array.from(each));

describe('a prediction on the wire', () => {
  it('is asked for with every number as it is, and with the artifact byte for byte', () => {
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 5 }), fc.option(fc.uint8Array()), (vectors, given) => {
        const artifact = given ?? undefined;
        const back = decodeRequest(encodeRequest({ model: SHA256, vectors, artifact }));
        expect(back.vectors).toEqual(vectors);
        expect(back.model).toBe(SHA256);
        expect(back.artifact && Uint8Array.from(back.artifact)).toEqual(artifact);
      }),
    );
  });

  it('is answered with every number as it is', () => {
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 5 }), fc.boolean(), (deviations, explains) => {
        const answer = {
          scores: Float64Array.from(deviations, ([first]) => first!),
          ...(explains && { deviations }),
          model: { sha256: SHA256, inputLength: 2, explains },
        };
        expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
      }),
    );
  });

  it.each([
    ['', /^not JSON: /],
    ['[]', /^must be an object/],
    ['{}', 'instances must be a list of vectors, each a list of numbers'],
    ['{"instances":[1]}', 'instances[0] must be a list of numbers'],
    ['{"instances":[[1],[1,"2"]]}', 'instances[1][1] must be a number'],
    ['{"instances":[[null]]}', 'instances[0][0] must be a number'],
    ['{"instances":[["constructor"]]}', 'instances[0][0] must be a number'],
    ['{"instances":[],"parameters":7}', /^parameters: /],
    ['{"instances":[],"parameters":{"model":"x"}}', /^parameters.model: /],
    [`{"instances":[],"parameters":{"model":"${SHA256}","artifact":"%"}}`, /^parameters.artifact: /],
    ['{"instances":[],"parameters":{"artifact":"AA=="}}', /^parameters.model must be the SHA-256/],
    ['{"instances":[],"parameters":{"modle":"x"}}', /^parameters: .*modle/],
  ])('asked for by %s is refused with what is wrong, and where', (text, message) => {
    expect(() => decodeRequest(text)).toThrow(message);
    expect(() => decodeRequest(text)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each(['', '<html>', '{}', '{"predictions":[]}', '{"predictions":[{}],"model":{}}'])(
    'that is none, %j, is refused',
    (text) => expect(() => decodeAnswer(text)).toThrow(expect.objectContaining({ code: 'invalid_argument' })),
  );
});

describe('an error on the wire', () => {
  const error = new PortError('not_found', 'there is no such "model"');
  const wrap = (message: string) => JSON.stringify({ error: { code: 400, message, status: 'INVALID_ARGUMENT' } });

  it('keeps its code and its message, also as the message of a cloud’s own', () => {
    for (const text of [encodeError(error), wrap(encodeError(error))])
      expect(decodeError(text)).toMatchObject({ code: 'not_found', message: error.message });
  });

  it.each(['', 'no', '{}', '{"error":"x"}', wrap('Endpoint not found')])('is none in %j', (text) => {
    expect(decodeError(text)).toBeUndefined();
  });
});
