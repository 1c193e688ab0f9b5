import { modelKey } from '#core/ports/model-registry.ts';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import { modelListQuerySchema, modelListSchema } from '../schemas/models.ts';
import { placeOf } from '../views.ts';

export function modelRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/models',
      tag: 'Models',
      summary: 'The models of the tenant, with their newest and their promoted version.',
      access: 'viewer',
      query: modelListQuerySchema,
      response: { status: 200, description: 'In order of name and machine', schema: modelListSchema },
      handle: async ({ query, principal: { tenant }, signal }, { models }) => {
        const [after] = query.cursor === undefined ? [] : decodeCursor('models', query.cursor, ['string']);
        const page = { tenant, limit: query.limit + 1, ...(after !== undefined && { after }) };
        const found = (await models?.listModels(page, { signal })) ?? [];
        const items = found.slice(0, query.limit);
        const last = found.length > query.limit ? items.at(-1) : undefined;
        return {
          json: {
            items: items.map(({ model, latestVersion, promotedVersion }) => ({
              name: model.name,
              ...(model.machine !== undefined && placeOf(model.machine)),
              ...(model.sensor !== undefined && { sensor: model.sensor }),
              latestVersion,
              ...(promotedVersion !== undefined && { promotedVersion }),
            })),
            ...(last && { nextCursor: encodeCursor('models', [modelKey(last.model)]) }),
          },
        };
      },
    }),
  ];
}
