import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';
import { gatewayPlugin } from '../../../src/servers/http/gateway-plugin.ts';
import { pluginOptions } from '../../support/plugin-options.ts';

interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  required?: string[];
}
interface Operation {
  summary?: string;
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[];
  responses: Record<string, { description: string; content: Record<string, { schema: Schema }> }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: Record<string, unknown> };
}

async function documented(prefix = '', prepare?: (app: FastifyInstance) => Promise<void>) {
  const app = Fastify();
  const routes: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push(`${one} ${url}`);
  });
  await prepare?.(app);
  await app.register(gatewayPlugin({ ...pluginOptions(), standalone: prefix === '' }), { prefix });
  const answer = await app.inject(`${prefix}/api/openapi.json`);
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  await app.close();
  return { routes, document: answer.json() as Document };
}

/** Every schema in it, with where it is. */
function* schemasIn(value: unknown, path: string): Generator<[path: string, schema: Schema]> {
  if (typeof value !== 'object' || value === null) return;
  if ('$ref' in value || 'type' in value || 'anyOf' in value) yield [path, value as Schema];
  for (const [key, child] of Object.entries(value)) yield* schemasIn(child, `${path}/${key}`);
}

describe('the OpenAPI document', () => {
  it('describes every route of the API and no others', async () => {
    const { routes, document } = await documented();
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const there = routes
      .map((route) => route.replace('/api/streams/*', '/api/streams/{path}'))
      .filter((route) => /^(?:GET|DELETE) (?:\/api\/|\/metrics|\/\w+\.json$|\/\w+z$)/.test(route))
      .filter((route) => !route.endsWith('/api/*') && !route.endsWith('/openapi.json'));
    expect(described.sort()).toEqual([...new Set(there)].sort());
    expect(described).toContain('DELETE /api/streams/{path}');
  });

  it('is OpenAPI 3.1 of this version, without a reference that leads nowhere', async () => {
    const { document } = await documented();
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Sluice', version: '1.2.3' } });
    const references = [...schemasIn(document, '')].flatMap(([, { $ref }]) => $ref ?? []);
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      const name = reference.replace('#/components/schemas/', '');
      expect(Object.keys(document.components.schemas), reference).toContain(name);
    }
  });

  it('says of every answer what it is, and which need a token', async () => {
    const { document } = await documented();
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { summary, security, responses } of Object.values(operations)) {
        expect(summary, path).toBeTruthy();
        const guarded = path.startsWith('/api') || path === '/metrics';
        expect(security, path).toEqual(guarded ? [{ token: [] }] : undefined);
        expect('401' in responses && '403' in responses, path).toBe(guarded);
        for (const { description, content } of Object.values(responses)) {
          expect(description, path).toBeTruthy();
          expect(Object.keys(content), path).toHaveLength(1);
        }
      }
    }
    const kick = document.paths['/api/streams/{path}']?.delete;
    expect(kick?.parameters).toEqual([
      expect.objectContaining({
        name: 'block',
        in: 'query',
        schema: expect.objectContaining({ type: 'integer', minimum: 0, maximum: 3600, default: 30 }),
      }),
      expect.objectContaining({ name: 'path', in: 'path', required: true }),
    ]);
  });

  it('describes every field that has a number', async () => {
    const { document } = await documented();
    for (const [path, { type, description }] of schemasIn(document.components.schemas, '')) {
      const number = [type].flat().some((one) => one === 'number' || one === 'integer');
      if (!number || !/\/properties\/[^/]+$/.test(path)) continue;
      expect(description, path).toBeTruthy();
    }
  });

  it('is right under a prefix, in an app that generates a document of its own', async () => {
    const { document } = await documented('/tv', async (app) => {
      await app.register(swagger, { openapi: { info: { title: 'Mine', version: '9' } } });
    });
    expect(document.info.title).toBe('Sluice');
    expect(document.servers).toEqual([{ url: '/tv' }]);
    expect(Object.keys(document.paths)).toContain('/api/server');
  });
});
