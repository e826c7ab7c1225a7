import swagger from '@fastify/swagger';
import Fastify from 'fastify';
import { z } from 'zod';
import { API_SCHEMAS, kickQuerySchema } from './api-schemas.ts';

type SchemaName = keyof typeof API_SCHEMAS;
type JsonSchema = Record<string, unknown>;

interface Operation {
  readonly method: 'GET' | 'DELETE';
  /** `:path` stands for all the rest. */
  readonly url: string;
  readonly summary: string;
  /** Open to everybody. */
  readonly open?: true;
  readonly query?: z.ZodType;
  readonly answers: Readonly<Record<number, readonly [description: string, body: SchemaName | 'text']>>;
}

const STREAM_PATH = '<app>/<name>. The application may contain slashes; they are not escaped.';
const NO_STREAM = ['There is no such stream.', 'Error'] as const;

const OPERATIONS: readonly Operation[] = [
  {
    method: 'GET',
    url: '/api/server',
    summary: 'The gateway and its process',
    answers: { 200: ['The gateway now.', 'Server'] },
  },
  {
    method: 'GET',
    url: '/api/streams',
    summary: 'All streams',
    answers: { 200: ['The streams that exist now, ended ones that still play among them.', 'StreamList'] },
  },
  {
    method: 'GET',
    url: '/api/streams/:path',
    summary: 'One stream',
    answers: { 200: ['The stream now.', 'Stream'], 404: NO_STREAM },
  },
  {
    method: 'DELETE',
    url: '/api/streams/:path',
    summary: 'End a stream now, and keep its publisher away for a while',
    query: kickQuerySchema,
    answers: {
      202: ['The publisher is being disconnected and the playlist ended.', 'Kicked'],
      400: ['The query is wrong.', 'Error'],
      404: NO_STREAM,
    },
  },
  {
    method: 'GET',
    url: '/metrics',
    summary: 'Figures for Prometheus',
    answers: { 200: ['Text exposition format 0.0.4.', 'text'] },
  },
  {
    method: 'GET',
    url: '/streams.json',
    summary: 'The streams that everybody may know of',
    open: true,
    answers: { 200: ['What the player page shows.', 'PublicInfo'] },
  },
  {
    method: 'GET',
    url: '/healthz',
    summary: 'Whether the process answers',
    open: true,
    answers: { 200: ['It does.', 'Status'] },
  },
  {
    method: 'GET',
    url: '/readyz',
    summary: 'Whether publishers and viewers may be sent here',
    open: true,
    answers: { 200: ['They may.', 'Status'], 503: ['It is starting or shutting down.', 'Status'] },
  },
];

/**
 * The OpenAPI 3.1 document as JSON. It is generated in an app of its own that never answers a request: an app that
 * embeds Sluice may have its own generator, and the one that serves has no use for JSON schemas.
 *
 * @param prefix of the app's routes, empty for none
 */
export async function openApiDocument(version: string, prefix: string): Promise<string> {
  const app = Fastify();
  app.setValidatorCompiler(() => () => true).setSerializerCompiler(() => (body) => JSON.stringify(body));
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version,
        description: 'Without a configured api.token, what needs a token answers the computer itself only.',
      },
      servers: [{ url: prefix === '' ? '/' : prefix }],
      components: {
        // The generator's types know OpenAPI 3.0's dialect; these are JSON Schema 2020-12, as 3.1 has it.
        schemas: componentSchemas() as Record<string, object>,
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      },
    },
    stripBasePath: false,
  });
  for (const operation of OPERATIONS) {
    app.route({
      method: operation.method,
      url: operation.url,
      schema: describe(operation),
      handler: nothing,
    });
  }
  await app.ready();
  const document = JSON.stringify(app.swagger());
  await app.close();
  return document;
}

function describe({ url, summary, open, query, answers }: Operation) {
  const denied = {
    401: answer('The bearer token is missing or wrong.', 'Error'),
    403: answer('No token is configured, and the request does not come from this computer.', 'Error'),
  };
  const described = Object.entries(answers).map(([status, [description, body]]) => [
    status,
    answer(description, body),
  ]);
  return {
    summary,
    ...(open === true ? {} : { security: [{ token: [] }] }),
    ...(url.includes(':path')
      ? { params: { type: 'object', properties: { path: { type: 'string', description: STREAM_PATH } } } }
      : {}),
    ...(query === undefined ? {} : { querystring: jsonSchema(query) }),
    response: { ...Object.fromEntries(described), ...(open === true ? {} : denied) },
  };
}

function answer(description: string, body: SchemaName | 'text') {
  const content =
    body === 'text'
      ? { 'text/plain': { schema: { type: 'string' } } }
      : { 'application/json': { schema: { $ref: reference(body) } } };
  return { description, content };
}

function reference(name: string): string {
  return `#/components/schemas/${name}`;
}

function componentSchemas(): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(API_SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: reference, ...CONVERSION });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]));
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  return bare(z.toJSONSchema(schema, CONVERSION));
}

/** As input, because the output dialect forbids further properties, and later versions will have some. */
const CONVERSION: z.core.ToJSONSchemaParams = {
  io: 'input',
  override: ({ jsonSchema: schema }) => {
    // Every integer in JavaScript is within these; saying so helps nobody.
    if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
    if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  },
};

function bare({ $schema, $id, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

async function nothing(): Promise<void> {}
